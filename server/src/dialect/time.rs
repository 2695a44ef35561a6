//! Times as text and as numbers.

const NS_PER_S: i64 = 1_000_000_000;

/// Nanoseconds since the epoch of a time in RFC 3339 or ISO 8601: `T` or a space between date and
/// time, up to nine digits of fraction kept, `Z` or an offset. Without an offset it is UTC. `None`
/// if it is none of these or outside of what 64 bits of nanoseconds hold (1677 to 2262).
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.trim().as_bytes();
    let (date, rest) = bytes.split_at_checked(10)?;
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1] = date else {
        return None;
    };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let days = days(year, number(&[*mo0, *mo1])?, number(&[*d0, *d1])?)?;
    let (seconds, fraction) = match rest {
        [] => (0, 0),
        [b'T' | b't' | b' ', clock @ ..] => clock_time(clock)?,
        _ => return None,
    };
    days.checked_mul(86_400)?
        .checked_add(seconds)?
        .checked_mul(NS_PER_S)?
        .checked_add(fraction)
}

/// Seconds since midnight UTC and nanoseconds.
fn clock_time(clock: &[u8]) -> Option<(i64, i64)> {
    let (hm, mut rest) = clock.split_at_checked(5)?;
    let [h0, h1, b':', m0, m1] = hm else {
        return None;
    };
    let (hour, minute) = (number(&[*h0, *h1])?, number(&[*m0, *m1])?);
    let mut second = 0;
    if let [b':', s0, s1, tail @ ..] = rest {
        second = number(&[*s0, *s1])?;
        rest = tail;
    }
    // A leap second counts as the last second of its minute plus one.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut fraction = 0;
    if let [b'.' | b',', tail @ ..] = rest {
        let len = tail.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, after) = tail.split_at_checked(len).filter(|_| len > 0)?;
        for i in 0..9 {
            let digit = digits.get(i).map_or(0, |b| i64::from(b - b'0'));
            fraction = fraction * 10 + digit;
        }
        rest = after;
    }
    Some((hour * 3600 + minute * 60 + second - offset(rest)?, fraction))
}

/// Seconds east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, h, m) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [sign, h0, h1] => (sign, [*h0, *h1], *b"00"),
        [sign, h0, h1, b':', m0, m1] | [sign, h0, h1, m0, m1] => (sign, [*h0, *h1], [*m0, *m1]),
        _ => return None,
    };
    let (h, m) = (number(&h)?, number(&m)?);
    let seconds = Some(h * 3600 + m * 60).filter(|_| h < 24 && m < 60)?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
    })
}

/// Days since the epoch (the civil calendar in eras of 400 years, March first).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if day < 1 || day > longest {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `2026-11-21T02:07:08.561299123Z`: UTC with as many of 0, 3, 6 or 9 digits as keep it exact.
pub fn format_nanos(ns: i64) -> String {
    let mut out = seconds(ns);
    let sub = ns.rem_euclid(NS_PER_S);
    if sub != 0 {
        out.push('.');
        if sub % 1_000_000 == 0 {
            digits(&mut out, sub / 1_000_000, 3);
        } else if sub % 1000 == 0 {
            digits(&mut out, sub / 1000, 6);
        } else {
            digits(&mut out, sub, 9);
        }
    }
    out.push('Z');
    out
}

/// `2026-11-21T02:07:08.561299Z`: UTC with microseconds, which is what theta clients send. What is
/// below a microsecond is cut.
pub fn format_micros(ns: i64) -> String {
    let mut out = seconds(ns);
    out.push('.');
    digits(&mut out, ns.rem_euclid(NS_PER_S) / 1000, 6);
    out.push('Z');
    out
}

/// `2026-11-21T02:07:08`, digit by digit: lists have thousands of times, and `format!` costs ten times as
/// much. Every time in nanoseconds has a year of four digits.
fn seconds(ns: i64) -> String {
    let s = ns.div_euclid(NS_PER_S);
    let (day, second) = (s.div_euclid(86_400), s.rem_euclid(86_400));
    let (year, month, day) = civil(day);
    let mut out = String::with_capacity(30);
    digits(&mut out, year, 4);
    for (mark, n) in [
        ('-', month),
        ('-', day),
        ('T', second / 3600),
        (':', second / 60 % 60),
        (':', second % 60),
    ] {
        out.push(mark);
        digits(&mut out, n, 2);
    }
    out
}

/// The last `count` digits of a number that is not negative.
fn digits(out: &mut String, n: i64, count: u32) {
    for place in (0..count).rev() {
        let digit = n / 10_i64.pow(place) % 10;
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let mp = (5 * of_year + 2) / 153;
    let day = of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds since the epoch of a bare number. Its unit follows from its size, which is
/// unambiguous from 1973 to 5138: below 1e11 seconds, below 1e14 milliseconds, below 1e17
/// microseconds, else nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
pub(super) fn from_number(n: f64) -> Option<i64> {
    let scale = match n.abs() {
        a if a < 1e11 => 1e9,
        a if a < 1e14 => 1e6,
        a if a < 1e17 => 1e3,
        _ => 1.0,
    };
    let ns = n * scale;
    (ns.is_finite() && ns.abs() < 9.2e18).then_some(ns.round() as i64)
}

/// The same for a whole number, without going through a float.
pub(super) fn from_whole(n: i64) -> Option<i64> {
    let scale = match n.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    n.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_forms_that_clients_send() {
        let t = Some(1_795_226_828_561_299_000);
        assert_eq!(parse("2026-11-21T02:07:08.561299Z"), t);
        assert_eq!(parse("2026-11-21T02:07:08.561299+00:00"), t);
        assert_eq!(parse("2026-11-21 03:37:08.561299000999+01:30"), t);
        assert_eq!(parse("2026-11-20T22:07:08.561299-0400"), t);
        assert_eq!(parse("2026-11-21T02:07:08.561299"), t);
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(
            parse("2000-02-29T00:00:00.5Z"),
            Some(951_782_400_500_000_000)
        );
        assert_eq!(parse("1969-12-31T23:59Z"), Some(-60_000_000_000));
    }

    #[test]
    fn refuses_what_is_not_a_time() {
        for text in [
            "",
            "yesterday",
            "2026-11-21T",
            "2026-13-01",
            "2026-02-29",
            "2026-00-10",
            "2026-01-00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T02:60:00Z",
            "2026-11-21T02:07:08.Z",
            "2026-11-21T02:07:08+25:00",
            "2026-11-21X02:07:08Z",
            "9999-01-01",
            "2026-1-1",
            "2026-11-21T02:07:08Zjunk",
            "٢٠٢٦-١١-٢١",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_have_the_unit_of_their_size() {
        for n in [1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000] {
            assert_eq!(from_whole(n), Some(1_700_000_000_000_000_000));
        }
        assert_eq!(
            from_number(1_700_000_000.5),
            Some(1_700_000_000_500_000_000)
        );
        assert_eq!(from_number(f64::NAN), None);
        assert_eq!(from_whole(i64::MIN), Some(i64::MIN));
    }

    proptest! {
        #[test]
        fn micros_read_back(us in i64::MIN / 1000 + 1..i64::MAX / 1000) {
            prop_assert_eq!(parse(&format_micros(us * 1000)), Some(us * 1000));
        }
    }
}
