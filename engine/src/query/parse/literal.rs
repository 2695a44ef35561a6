//! Numbers, durations and times of a search.

use crate::query::ast::Literal;

const NS_PER_S: i128 = 1_000_000_000;

/// A number or a bool as JSON writes it, `None` if the text is neither.
pub(super) fn plain(text: &str) -> Option<Literal> {
    match text {
        "true" => return Some(Literal::Bool(true)),
        "false" => return Some(Literal::Bool(false)),
        _ => {}
    }
    // Rust also reads `inf`, `nan` and `+1`.
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        || text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'))
    {
        return None;
    }
    let whole = text.parse().map(Literal::I64);
    whole.or_else(|_| text.parse().map(Literal::F64)).ok()
}

/// What [`plain`] reads, or a number with its unit: bytes (`10MiB`, `1.5GB`), US dollars (`$0.5`, `50¢`).
pub(super) fn value(text: &str) -> Option<Literal> {
    plain(text)
        .or_else(|| bytes(text).map(Literal::I64))
        .or_else(|| dollars(text).map(Literal::F64))
}

/// As [`value`], but no bytes.
pub(super) fn amount(text: &str) -> Option<Literal> {
    plain(text).or_else(|| dollars(text).map(Literal::F64))
}

/// What is below a byte is left out.
fn bytes(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    i64::try_from(scaled(number, unit)?).ok()
}

fn dollars(text: &str) -> Option<f64> {
    let decimal = |text: &str| -> Option<String> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_plain.then(|| text.to_owned())
    };
    let number = match (text.strip_prefix('$'), text.strip_suffix('¢')) {
        (Some(dollars), _) => decimal(dollars)?,
        (_, Some(cents)) => decimal(cents)? + "e-2",
        _ => return None,
    };
    number.parse().ok()
}

/// Nanoseconds of `250ms`, `1.5s`, `1h30m`, or of a bare whole number.
pub(super) fn duration(text: &str) -> Option<i64> {
    if let Ok(ns) = text.parse() {
        return Some(ns);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        sum = sum.checked_add(scaled(number, unit_ns(unit)?)?)?;
        rest = tail;
    }
    i64::try_from(sign * sum).ok()
}

fn unit_ns(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => NS_PER_S,
        "m" => 60 * NS_PER_S,
        "h" => 3_600 * NS_PER_S,
        "d" => 86_400 * NS_PER_S,
        _ => return None,
    })
}

/// A decimal number times a unit, what is below a nanosecond left out.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ten_to = 10i128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = i128::from(whole.parse::<u64>().ok()?);
    Some(whole * unit + fraction.parse::<i128>().ok()? * unit / ten_to)
}

/// Nanoseconds since the epoch of an RFC 3339 time, a date (midnight UTC), `now`, a time before or
/// after now (`-1h`, `+5m`), or a bare whole number of nanoseconds.
pub(super) fn time(text: &str, now_ns: i64) -> Option<i64> {
    if text == "now" {
        return Some(now_ns);
    }
    if let Ok(ns) = text.parse() {
        return Some(ns);
    }
    if let Some(later) = text.strip_prefix('+') {
        return now_ns.checked_add(duration(later)?);
    }
    if text.starts_with('-') {
        return now_ns.checked_add(duration(text)?);
    }
    rfc3339(text)
}

fn rfc3339(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    if date.as_bytes().get(4) != Some(&b'-') || date.as_bytes().get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (
        number(&date[..4])?,
        number(date.get(5..7)?)?,
        number(date.get(8..)?)?,
    );
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let midnight = i128::from(days(year, month, day)) * 86_400 * NS_PER_S;
    let rest = text.get(10..)?;
    let since = if rest.is_empty() {
        0
    } else {
        time_of_day(rest.strip_prefix(['T', 't'])?)?
    };
    i64::try_from(midnight + since).ok()
}

/// `10:00:00.5+02:00` in nanoseconds since midnight UTC. A leap second is the second after it.
fn time_of_day(text: &str) -> Option<i128> {
    let clock = text.get(..8)?;
    let (hour, minute, second) = (
        number(clock.get(..2)?)?,
        number(clock.get(3..5)?)?,
        number(clock.get(6..)?)?,
    );
    let colons = clock.as_bytes().get(2) == Some(&b':') && clock.as_bytes().get(5) == Some(&b':');
    if !colons || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone_at = text.find(['Z', 'z', '+', '-'])?;
    let fraction = match text.get(8..zone_at)? {
        "" => 0,
        dotted => scaled(
            &format!("0{}", dotted.strip_prefix('.').map(|_| dotted)?),
            NS_PER_S,
        )?,
    };
    let offset = match text.get(zone_at..)? {
        "Z" | "z" => 0,
        zone => {
            let (h, m) = zone.get(1..)?.split_once(':')?;
            let (h, m) = (number(h)?, number(m)?);
            if zone.len() != 6 || h > 23 || m > 59 {
                return None;
            }
            if zone.starts_with('-') {
                -(h * 60 + m)
            } else {
                h * 60 + m
            }
        }
    };
    let seconds = hour * 3_600 + (minute - offset) * 60 + second;
    Some(i128::from(seconds) * NS_PER_S + fraction)
}

fn number(digits: &str) -> Option<i64> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is the last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}
