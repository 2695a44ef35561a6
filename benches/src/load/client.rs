//! A small HTTP/1.1 client: one connection, kept alive, one request at a time.
//!
//! Written here rather than taken from a crate, because its CPU time is on the machine that is
//! measured and because an answer must be timed from the first byte written to the last byte read.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value as Json};

use crate::generator::span::{Span, export_json, export_request};

/// Longest answer that is read, a whole trace with its payloads included.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Longest line of an answer's head.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// After this long without a byte the request has failed.
const TIMEOUT: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// The first cookie that it sets, without its attributes.
    pub cookie: Option<String>,
    /// After how many seconds to try again.
    pub retry_after: Option<u64>,
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self {
            address,
            stream: BufReader::with_capacity(64 << 10, stream),
        })
    }

    /// Sends an export request.
    pub fn export(&mut self, key: &str, wire: Wire, body: &[u8]) -> io::Result<Answer> {
        let head = self.export_head(key, wire, body);
        self.send(head.as_bytes(), body)
    }

    /// Sends an export request and goes away, as a client does whose patience is over.
    pub fn export_and_leave(mut self, key: &str, wire: Wire, body: &[u8]) -> io::Result<()> {
        let head = self.export_head(key, wire, body);
        self.write(head.as_bytes(), body)
    }

    fn export_head(&self, key: &str, wire: Wire, body: &[u8]) -> String {
        format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {}\r\nx-api-key: {key}\r\n\
             content-type: {}\r\n{}content-length: {}\r\n\r\n",
            self.address,
            wire.form.content_type(),
            wire.encoding.header(),
            body.len()
        )
    }

    /// Gets a path.
    pub fn get(&mut self, path: &str, key: &str) -> io::Result<Answer> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {key}\r\n\r\n",
            self.address
        );
        self.send(head.as_bytes(), &[])
    }

    /// Sends JSON, or nothing if it is empty. `headers` is whole lines.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}content-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.send(head.as_bytes(), body.as_bytes())
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<Answer> {
        self.write(head, body)?;
        self.answer()
    }

    fn write(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        let slices = [io::IoSlice::new(head), io::IoSlice::new(body)];
        let written = stream.write_vectored(&slices)?;
        if written < head.len() {
            stream.write_all(head.get(written..).unwrap_or_default())?;
            stream.write_all(body)?;
        } else {
            stream.write_all(body.get(written - head.len()..).unwrap_or_default())?;
        }
        Ok(())
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| bad("status line", &status_line))?;
        let (mut length, mut chunked, mut cookie, mut retry_after) = (0, false, None, None);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(bad("header", &line));
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value
                    .trim()
                    .parse()
                    .map_err(|_| bad("content-length", value))?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("set-cookie") && cookie.is_none() {
                cookie = value.trim().split(';').next().map(str::to_owned);
            } else if name.eq_ignore_ascii_case("retry-after") {
                retry_after = value.trim().parse().ok();
            }
        }
        let body = if chunked {
            self.chunks()?
        } else {
            self.exactly(length)?
        };
        Ok(Answer {
            status,
            body,
            cookie,
            retry_after,
        })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| bad("chunk", &line))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            if body.len() + size > ANSWER_BYTES_MAX {
                return Err(bad("answer length", &line));
            }
            body.extend(self.exactly(size)?);
            self.line()?;
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > ANSWER_BYTES_MAX {
            return Err(bad("answer length", &length.to_string()));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self
            .stream
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_line(&mut line)?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// How request bodies are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// zstd, level 1.
    Zstd,
    /// gzip, level 1.
    Gzip,
}

/// What request bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OTLP protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

/// Both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// What bodies are.
    pub form: Form,
    /// How they are coded.
    pub encoding: Encoding,
}

impl Wire {
    /// The body of a request of these spans.
    pub fn body(self, spans: &[Span]) -> io::Result<Vec<u8>> {
        let plain = match self.form {
            Form::Protobuf => export_request(spans),
            Form::Json => export_json(spans).into_bytes(),
        };
        match self.encoding {
            Encoding::Identity => Ok(plain),
            Encoding::Zstd => zstd::bulk::compress(&plain, 1),
            Encoding::Gzip => {
                let mut coder = GzEncoder::new(Vec::new(), Compression::fast());
                coder.write_all(&plain)?;
                coder.finish()
            }
        }
    }

    /// Whether an answer of success says that every span was taken: what it tells of a part is empty.
    pub fn says_whole(self, answer: &[u8]) -> bool {
        match self.form {
            Form::Protobuf => answer.is_empty(),
            Form::Json => serde_json::from_slice::<Json>(answer).is_ok_and(|said| {
                let part = said.get("partialSuccess");
                said.is_object() && part.is_none_or(|part| *part == Json::Object(Map::new()))
            }),
        }
    }
}

impl Form {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

impl Encoding {
    const fn header(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Zstd => "content-encoding: zstd\r\n",
            Self::Gzip => "content-encoding: gzip\r\n",
        }
    }
}

fn bad(what: &str, got: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("answer not understood what={what} got={got:?}"),
    )
}

/// A query string value.
pub fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers each of `answers` to one request of a kept connection.
    fn serve(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            for answer in answers {
                let mut line = String::new();
                while stream.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn reads_answers_with_length_chunks_and_nothing_on_one_connection() {
        let address = serve(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
        ]);
        let mut client = Client::connect(address).unwrap();
        let mut get = || client.get("/", "k").map(|a| (a.status, a.body)).unwrap();
        assert_eq!(get(), (200, b"hello".to_vec()));
        assert_eq!(get(), (200, b"abcde".to_vec()));
        assert_eq!(get(), (503, Vec::new()));
    }

    #[test]
    fn an_answer_is_whole_if_it_tells_of_no_part() {
        let wire = |form| Wire {
            form,
            encoding: Encoding::Identity,
        };
        let (protobuf, json) = (wire(Form::Protobuf), wire(Form::Json));
        assert!(protobuf.says_whole(b""));
        assert!(!protobuf.says_whole(&[0x0a, 2, 8, 1]));
        assert!(json.says_whole(b"{}"));
        assert!(json.says_whole(br#"{"partialSuccess":{}}"#));
        assert!(!json.says_whole(br#"{"partialSuccess":{"rejectedSpans":"1"}}"#));
        assert!(!json.says_whole(b""));
    }

    #[test]
    fn a_cut_or_absurd_answer_is_an_error() {
        for answer in [
            &["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"][..],
            &["HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n"],
            &["hello\r\n\r\n"],
            &[""],
        ] {
            let mut client = Client::connect(serve(answer)).unwrap();
            assert!(client.get("/", "k").is_err(), "{answer:?}");
        }
    }

    #[test]
    fn filters_are_percent_encoded() {
        assert_eq!(percent("a:b c\"é"), "a%3Ab%20c%22%C3%A9");
    }
}
