//! What the server wrote, by kind, as it says itself.

use std::net::SocketAddr;

use super::LoadError;
use super::client::Client;

const NAME: &str = "obsrv_written_bytes_total{kind=\"";

/// Every kind and its bytes.
pub fn of(address: SocketAddr) -> Result<Vec<(String, u64)>, LoadError> {
    let answer = Client::connect(address)?.get("/metrics", "")?;
    Ok(read(&String::from_utf8_lossy(&answer.body)))
}

fn read(metrics: &str) -> Vec<(String, u64)> {
    let lines = metrics.lines().filter_map(|line| {
        let (kind, value) = line.strip_prefix(NAME)?.split_once("\"}")?;
        Some((kind.to_owned(), value.trim().parse().ok()?))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_nothing_else() {
        let text = "# TYPE obsrv_written_bytes_total counter\n\
            obsrv_written_bytes_total{kind=\"log\"} 12\n\
            obsrv_written_bytes_total{kind=\"flush\"} 7\n\
            obsrv_segments 3\n";
        let expected = [("log".to_owned(), 12), ("flush".to_owned(), 7)];
        assert_eq!(read(text), expected);
    }
}
