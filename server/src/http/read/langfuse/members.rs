//! JSON objects of which only some members are told.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::http::read::shape::Raw;

/// Members of an object, in order.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(&'static str, Raw)>);

impl Members {
    /// Adds one.
    pub(super) fn put(&mut self, name: &'static str, value: impl Serialize) -> &mut Self {
        let value = to_raw_value(&value).unwrap_or_else(|_| null());
        self.0.push((name, value));
        self
    }
}

/// JSON's null.
fn null() -> Raw {
    RawValue::from_string("null".to_owned()).expect("BUG: null is no JSON")
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
