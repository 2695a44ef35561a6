//! Values of the command lines of `load`'s kin: clap tells what is wrong with them.

use std::time::Duration;

/// A number of seconds.
pub fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// A number that is not below `LEAST`.
pub fn at_least<const LEAST: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= LEAST => Ok(number),
        Ok(number) => Err(format!("{number} is below {LEAST}")),
        Err(error) => Err(format!("{error}")),
    }
}
