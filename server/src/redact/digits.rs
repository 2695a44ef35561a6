//! Numbers with check digits: which parts of a run of digits are what they look like.

use std::ops::Range;

/// Fewest and most digits of a card number.
const CARD_DIGITS: Range<usize> = 13..20;

/// Whether a run of digits is not part of an id in hex or of the digits behind a decimal point.
pub(super) fn stands_alone(text: &str, run: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let joins = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let (before, after) = bytes.split_at(run.start);
    let after = after.get(run.len());
    let is_fraction = matches!(before, [.., digit, b'.'] if digit.is_ascii_digit());
    !before.last().is_some_and(joins) && !after.is_some_and(joins) && !is_fraction
}

/// Calls back with each card number in a run of digits, spaces and hyphens.
///
/// A card begins at the run's first digit or behind a space or hyphen, and ends at one or at the
/// run's last digit, so that not every part of a long number is tried.
pub(super) fn cards(run: &str, found: &mut dyn FnMut(Range<usize>)) {
    let bytes = run.as_bytes();
    let is_edge = |at: usize| bytes.get(at).is_none_or(|b| !b.is_ascii_digit());
    let mut at = 0;
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_digit() && (at == 0 || is_edge(at - 1));
        match begins.then(|| card_at(bytes, at, &is_edge)).flatten() {
            Some(end) => {
                found(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Where the longest card that begins here ends.
fn card_at(bytes: &[u8], start: usize, is_edge: &dyn Fn(usize) -> bool) -> Option<usize> {
    let mut number = Vec::with_capacity(CARD_DIGITS.end);
    let mut end = None;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        if !byte.is_ascii_digit() {
            continue;
        }
        number.push(byte - b'0');
        if number.len() >= CARD_DIGITS.end {
            break;
        }
        if is_edge(at + 1) && is_card(&number) {
            end = Some(at + 1);
        }
    }
    end
}

/// Prefix and length of an issuer that exists, and the right check digit.
fn is_card(number: &[u8]) -> bool {
    let first = |n: usize| {
        number
            .iter()
            .take(n)
            .fold(0_u32, |sum, d| sum * 10 + u32::from(*d))
    };
    let length = number.len();
    let issued = match first(1) {
        4 => matches!(length, 13 | 16 | 19),
        2 => length == 16 && (2221..=2720).contains(&first(4)),
        5 => length == 16 && (51..=55).contains(&first(2)) || is_maestro(first(2), length),
        6 => matches!(length, 16..=19) || is_maestro(first(2), length),
        3 => match first(2) {
            34 | 37 => length == 15,
            30 | 36 | 38 | 39 => matches!(length, 14..=19),
            35 => matches!(length, 16..=19),
            _ => false,
        },
        _ => false,
    };
    issued && luhn(number)
}

fn is_maestro(prefix: u32, length: usize) -> bool {
    matches!(prefix, 50 | 56..=58 | 63 | 67) && matches!(length, 13..=19)
}

fn luhn(number: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { d * 2 - 9 } else { d * 2 };
    let sum = number
        .iter()
        .rev()
        .enumerate()
        .fold(0_u32, |sum, (place, d)| {
            sum + u32::from(if place % 2 == 1 { doubled(*d) } else { *d })
        });
    sum.is_multiple_of(10)
}

/// Fewest and most characters of an account number.
const IBAN_CHARS: std::ops::RangeInclusive<usize> = 15..=34;

/// How many bytes of `run` are an account number: the longest beginning whose check digits are
/// right and that ends where a group ends.
pub(super) fn iban(run: &str) -> Option<usize> {
    let bytes = run.as_bytes();
    let plain: Vec<(usize, u8)> = bytes
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, b)| *b != b' ')
        .collect();
    let ends_group = |at: usize| bytes.get(at).is_none_or(|b| *b == b' ');
    IBAN_CHARS.rev().find_map(|length| {
        let number = plain.get(..length)?;
        let end = number.last()?.0 + 1;
        (ends_group(end) && checks_97(number)).then_some(end)
    })
}

/// Country and check digits behind the rest, letters as 10 to 35: 1 modulo 97.
fn checks_97(number: &[(usize, u8)]) -> bool {
    let (head, rest) = number.split_at(4);
    let digit = |rem: u32, byte: u8| match byte {
        b'0'..=b'9' => (rem * 10 + u32::from(byte - b'0')) % 97,
        _ => (rem * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
    };
    let bytes = rest.iter().chain(head).map(|(_, b)| *b);
    bytes.fold(0, digit) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards_in(run: &str) -> Vec<&str> {
        let mut all = Vec::new();
        cards(run, &mut |r| all.push(&run[r]));
        all
    }

    #[test]
    fn cards_by_issuer_length_and_check_digit() {
        for card in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "4222222222222",
        ] {
            assert_eq!(cards_in(card), [card]);
        }
        for other in [
            "4111111111111112",
            "1111111111111117",
            // A time in nanoseconds, in microseconds; part of a longer number.
            "1763721234567890123",
            "1763721234567890",
            "41111111111111110",
        ] {
            assert!(cards_in(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn a_card_beside_other_numbers_is_found() {
        let run = "12 4111 1111 1111 1111 123 5555555555554444";
        assert_eq!(cards_in(run), ["4111 1111 1111 1111", "5555555555554444"]);
    }

    #[test]
    fn ids_and_fractions_are_left_alone() {
        for (text, alone) in [
            ("4111111111111111", true),
            ("no: 4111111111111111, ok", true),
            ("a4111111111111111", false),
            ("4111111111111111f", false),
            ("0.4111111111111111", false),
            ("card.4111111111111111", true),
        ] {
            let start = text.find('4').unwrap();
            assert_eq!(stands_alone(text, &(start..start + 16)), alone, "{text}");
        }
    }

    #[test]
    fn account_numbers_by_check_digits() {
        assert_eq!(iban("DE89370400440532013000"), Some(22));
        assert_eq!(iban("GB82 WEST 1234 5698 7654 32 AND MORE"), Some(27));
        assert_eq!(iban("NO9386011117947"), Some(15));
        assert_eq!(iban("DE88370400440532013000"), None);
    }
}
