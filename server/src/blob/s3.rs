//! Blobs in a bucket that speaks S3.
//!
//! Credentials, region and endpoint are those of the environment, under the names that every S3 tool has
//! (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …). Calls block on the server's runtime, so they
//! come from its blocking threads alone.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore, PutPayload, RetryConfig,
};
use obsrv_engine::boundary::Object;
use tokio::runtime::Handle;

use super::key::Key;
use super::spool::Spooled;
use super::store::{BlobStore, Listed};
use crate::limits::{BLOB_STORE_TIME_MAX, BLOB_UPLOAD_PART_BYTES};

/// A bucket, and what the names in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    bucket: String,
    prefix: String,
}

impl S3Place {
    /// Reads `s3://bucket` or `s3://bucket/prefix`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write a bucket and perhaps a prefix, as in s3://traces/obsrv".to_owned();
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        let prefix = prefix.trim_matches('/');
        let parts_are_good =
            prefix.is_empty() || prefix.split('/').all(|p| !matches!(p, "" | "." | ".."));
        if bucket.is_empty() || !rest.bytes().all(is_plain) || !parts_are_good {
            return Err(wrong());
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A bucket.
#[derive(Debug)]
pub struct S3Blobs {
    store: Arc<AmazonS3>,
    prefix: String,
    runtime: Handle,
}

impl S3Blobs {
    /// A bucket with the credentials of the environment. Asks nobody yet.
    pub fn new(place: &S3Place, runtime: Handle) -> io::Result<Self> {
        let builder = AmazonS3Builder::from_env().with_bucket_name(&place.bucket);
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        let options = ClientOptions::new()
            .with_timeout(BLOB_STORE_TIME_MAX)
            .with_allow_http(endpoint.starts_with("http://"));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 4,
            retry_timeout: BLOB_STORE_TIME_MAX,
        };
        let builder = builder.with_client_options(options).with_retry(retry);
        Ok(Self {
            store: Arc::new(builder.build().map_err(io::Error::other)?),
            prefix: place.prefix.clone(),
            runtime,
        })
    }

    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() {
            return Path::from(format!("blobs/{name}"));
        }
        Path::from(format!("{}/blobs/{name}", self.prefix))
    }

    fn listed(&self, object: &ObjectMeta) -> Option<Listed> {
        let above = self.path("");
        let name = object.location.as_ref().strip_prefix(above.as_ref())?;
        Some(Listed {
            key: Key::parse(name.trim_start_matches('/'))?,
            len: object.size,
            put_ns: put_ns(object),
        })
    }

    async fn put_whole(&self, path: &Path, spooled: &Spooled) -> object_store::Result<()> {
        let mut bytes = Vec::new();
        spooled.read().read_to_end(&mut bytes).map_err(local)?;
        self.store.put(path, PutPayload::from(bytes)).await?;
        Ok(())
    }

    /// Part by part; what is cut short leaves no object.
    async fn put_parts(&self, path: &Path, spooled: &Spooled) -> object_store::Result<()> {
        let mut upload = self.store.put_multipart(path).await?;
        let mut put = async || {
            let mut file = spooled.read();
            let part_max = u64::try_from(BLOB_UPLOAD_PART_BYTES).unwrap_or(u64::MAX);
            loop {
                let mut part = Vec::with_capacity(BLOB_UPLOAD_PART_BYTES);
                let mut rest = Read::by_ref(&mut file).take(part_max);
                rest.read_to_end(&mut part).map_err(local)?;
                if part.is_empty() {
                    return Ok(());
                }
                upload.put_part(PutPayload::from(part)).await?;
            }
        };
        let done: object_store::Result<()> = put().await;
        match done {
            Ok(()) => upload.complete().await.map(drop),
            Err(error) => {
                if let Err(left) = upload.abort().await {
                    tracing::warn!(%left, "parts of an upload are left in the bucket");
                }
                Err(error)
            }
        }
    }
}

fn local(source: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "spool",
        source: Box::new(source),
    }
}

fn put_ns(object: &ObjectMeta) -> i64 {
    object
        .last_modified
        .timestamp_nanos_opt()
        .unwrap_or(i64::MAX)
}

fn failed(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, error),
        other => io::Error::other(other),
    }
}

impl BlobStore for S3Blobs {
    /// A name has the hash of its bytes in it, so writing it again changes nothing.
    fn put_once(&self, key: &Key, spooled: Spooled) -> io::Result<()> {
        let path = self.path(&key.to_string());
        let part = u64::try_from(BLOB_UPLOAD_PART_BYTES).unwrap_or(u64::MAX);
        let done = if spooled.len() <= part {
            self.runtime.block_on(self.put_whole(&path, &spooled))
        } else {
            self.runtime.block_on(self.put_parts(&path, &spooled))
        };
        done.map_err(failed)
    }

    fn open(&self, key: &Key) -> io::Result<(Arc<dyn Object>, i64)> {
        let path = self.path(&key.to_string());
        let found = self
            .runtime
            .block_on(self.store.head(&path))
            .map_err(failed)?;
        let object = S3Blob {
            store: Arc::clone(&self.store),
            len: found.size,
            path,
            runtime: self.runtime.clone(),
        };
        Ok((Arc::new(object), put_ns(&found)))
    }

    /// In one request: what it answers tells the length before the bytes.
    fn whole(&self, key: &Key, len: u64) -> io::Result<Option<Bytes>> {
        let path = self.path(&key.to_string());
        let read = async {
            let found = self.store.get(&path).await?;
            if found.meta.size != len {
                return Ok(None);
            }
            found.bytes().await.map(Some)
        };
        self.runtime.block_on(read).map_err(failed)
    }

    fn list(&self, prefix: &str, after: &str, max: usize) -> io::Result<Vec<Listed>> {
        let prefix = self.path(prefix);
        let objects = if after.is_empty() {
            self.store.list(Some(&prefix))
        } else {
            self.store
                .list_with_offset(Some(&prefix), &self.path(after))
        };
        let ours = objects.try_filter_map(|object| async move { Ok(self.listed(&object)) });
        let page = ours.take(max).try_collect();
        self.runtime.block_on(page).map_err(failed)
    }

    fn delete(&self, key: &Key) -> io::Result<()> {
        let path = self.path(&key.to_string());
        match self.runtime.block_on(self.store.delete(&path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn is_local(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct S3Blob {
    store: Arc<AmazonS3>,
    path: Path,
    len: u64,
    runtime: Handle,
}

impl Object for S3Blob {
    fn len(&self) -> u64 {
        self.len
    }

    fn get_ranges(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        if ranges
            .iter()
            .any(|range| range.start > range.end || range.end > self.len)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let wanted: Vec<_> = ranges
            .iter()
            .filter(|range| !range.is_empty())
            .cloned()
            .collect();
        let found = self
            .runtime
            .block_on(self.store.get_ranges(&self.path, &wanted));
        let mut found = found.map_err(failed)?.into_iter();
        // An empty range is nothing to ask for.
        let each = ranges.iter().map(|range| {
            let bytes = if range.is_empty() {
                Some(Bytes::new())
            } else {
                found.next()
            };
            bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text| S3Place::parse(text).map(|place| place.to_string());
        assert_eq!(place("s3://traces").unwrap(), "s3://traces/");
        assert_eq!(place("s3://traces/a/b/").unwrap(), "s3://traces/a/b");
        for bad in [
            "traces",
            "s3://",
            "s3:///a",
            "s3://a/../b",
            "s3://a/b//c",
            "s3://a/b?c",
            "gs://a",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
