//! Sizes as people write them.

/// Bytes of `512MiB`, `0.4GiB`, `1g` or `1048576`. Units are powers of 1024.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(format!("unknown unit {unit}; write 512MiB or 1GiB")),
    };
    let bad = || "not a size; write 512MiB or 1GiB".to_owned();
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    if part.is_empty() || part.len() > 6 {
        return Err(bad());
    }
    let scale = 10_u64.pow(u32::try_from(part.len()).unwrap_or(0));
    let part: u64 = part.parse().map_err(|_| bad())?;
    whole
        .checked_mul(1 << shift)
        .and_then(|bytes| bytes.checked_add((part << shift) / scale))
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("7", 7),
            ("1g", 1 << 30),
            ("0.4GiB", 429_496_729),
            ("512 MiB", 512 << 20),
            ("1.5k", 1536),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "x",
            "1.",
            ".5g",
            "1tb",
            "-1",
            "1.2.3",
            "99999999999999999999",
            "9999999999999g",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
