//! Encodings that segments do not have, as far as their size goes: each appends what it would store.

/// Numbers of a frame of its own reference each.
const FRAMES: [usize; 2] = [128, 1_024];

/// Appends numbers as offsets from the smallest of their frame, each frame as wide as its largest: base and width first.
fn put_frames(out: &mut Vec<u8>, numbers: &[u64], frame: usize) {
    for frame in numbers.chunks(frame) {
        let base = frame.iter().min().copied().unwrap_or(0);
        let most = frame.iter().map(|n| n - base).max().unwrap_or(0);
        let width = u64::BITS - most.leading_zeros();
        out.extend_from_slice(&varint(base));
        out.push(u8::try_from(width).unwrap_or(64));
        let (mut held, mut fill) = (0_u128, 0);
        for n in frame {
            held |= u128::from(n - base) << fill;
            fill += width;
            while fill >= 8 {
                out.push((held & 0xff) as u8);
                held >>= 8;
                fill -= 8;
            }
        }
        if fill > 0 {
            out.push((held & 0xff) as u8);
        }
    }
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push((n & 0x7f) as u8);
    out
}

fn zigzag(n: u64) -> u64 {
    let n = n.cast_signed();
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

fn deltas(numbers: &[u64]) -> Vec<u64> {
    let mut before = 0;
    let delta = |n: &u64| {
        let delta = n.wrapping_sub(before);
        before = *n;
        delta
    };
    numbers.iter().map(delta).collect()
}

/// The encodings of whole numbers by name.
pub(crate) fn of_numbers(numbers: &[u64]) -> Vec<(String, Vec<u8>)> {
    let first = deltas(numbers);
    let second: Vec<u64> = deltas(&first).into_iter().map(zigzag).collect();
    let first: Vec<u64> = first.into_iter().map(zigzag).collect();
    let mut all = Vec::new();
    for frame in FRAMES {
        for (name, numbers) in [
            ("frames", numbers),
            ("deltas in frames", &first),
            ("deltas of deltas in frames", &second),
        ] {
            let mut out = Vec::new();
            put_frames(&mut out, numbers, frame);
            all.push((format!("{name} of {frame}"), out));
        }
    }
    all
}

/// Floats as decimals: whole numbers times one power of ten a frame, and those that are none beside them, in the manner of ALP.
pub(crate) fn of_floats(ordered: &[u64]) -> Vec<(String, Vec<u8>)> {
    const FRAME: usize = 1_024;
    let mut out = Vec::new();
    for frame in ordered.chunks(FRAME) {
        let floats: Vec<f64> = frame.iter().map(|n| float(*n)).collect();
        let best = (0..=18).max_by_key(|places| {
            let fits = floats.iter().filter(|f| decimal(**f, *places).is_some());
            (fits.count(), std::cmp::Reverse(*places))
        });
        let places = best.unwrap_or(0);
        let (mut whole, mut others) = (Vec::new(), Vec::new());
        for (at, value) in (0_u16..).zip(&floats) {
            if let Some(n) = decimal(*value, places) {
                whole.push(n);
            } else {
                others.extend_from_slice(&at.to_le_bytes());
                others.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        let whole: Vec<u64> = whole
            .into_iter()
            .map(|n| n.cast_unsigned() ^ 1 << 63)
            .collect();
        out.push(u8::try_from(places).unwrap_or(0));
        put_frames(&mut out, &whole, FRAME);
        out.append(&mut others);
    }
    vec![("decimals (ALP)".to_owned(), out)]
}

/// The float whose bits were made to sort as it does.
fn float(ordered: u64) -> f64 {
    let bits = if ordered >> 63 == 1 {
        ordered ^ 1 << 63
    } else {
        !ordered
    };
    f64::from_bits(bits)
}

/// The whole number that gives exactly this float when it is divided by ten so many times.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit is no decimal"
)]
fn decimal(value: f64, places: i32) -> Option<i64> {
    let scale = 10_f64.powi(places);
    let whole = (value * scale).round();
    let fits = whole.abs() < 9e15 && (whole / scale).to_bits() == value.to_bits();
    fits.then_some(whole as i64)
}

/// A page of texts with other bytes for each text, behind the lengths as they stand.
fn page(bytes: &[u8], texts: &[Box<str>], encode: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let total: usize = texts.iter().map(|text| text.len()).sum();
    let mut out = bytes
        .get(..bytes.len() - total)
        .unwrap_or_default()
        .to_vec();
    texts.iter().for_each(|text| out.extend(encode(text)));
    out
}

/// The encodings of the pages of a column of texts by name.
pub(crate) fn of_texts(pages: &[(&[u8], &[Box<str>])]) -> Vec<(String, Vec<Vec<u8>>)> {
    let all = || pages.iter().flat_map(|(_, texts)| texts.iter());
    let samples: Vec<&[u8]> = all().map(|text| text.as_bytes()).collect();
    let compressor = fsst::Compressor::train(&samples);
    let (decompressor, mut head) = (compressor.decompressor(), Vec::new());
    for (code, len) in (0..=254_u8).zip(compressor.symbol_lengths()) {
        head.push(*len);
        head.append(&mut decompressor.decompress(&[code]));
    }
    let mut short = vec![head];
    let mut hex = Vec::new();
    for (bytes, texts) in pages {
        short.push(page(bytes, texts, |text| {
            compressor.compress(text.as_bytes())
        }));
        let is_hex = texts.iter().all(|text| digits(text).is_some());
        hex.push(if is_hex {
            page(bytes, texts, |text| digits(text).unwrap_or_default())
        } else {
            bytes.to_vec()
        });
    }
    vec![("FSST".to_owned(), short), ("hex as bytes".to_owned(), hex)]
}

/// The bytes of lower-case hex.
fn digits(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?))
        .collect()
}
