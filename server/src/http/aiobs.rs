//! What an aiobs client is answered. It reads JSON or fails in the program that it watches.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::{ApiError, ErrorCode};
use super::ingest::Stored;
use crate::dialect::Item;

/// Refusals that are spelled out.
const REASONS_MAX: usize = 16;

/// 200, with what was refused; 400 only when there is nothing else.
pub(super) fn answer(stored: &Stored) -> Result<Response, ApiError> {
    let refused: Vec<&Item> = stored.items.iter().filter(|i| i.error.is_some()).collect();
    if let (true, Some(first)) = (stored.is_empty, refused.first()) {
        let reason = first.error.as_deref().unwrap_or("");
        let place = format!("{} {}", first.kind, first.index);
        return Err(ApiError::new(ErrorCode::InvalidRequest, reason).at(place));
    }
    let reason = |item: &&Item| -> Value {
        json!({ "index": item.index, "kind": item.kind, "error": item.error })
    };
    let taken = stored.items.len() - refused.len();
    let errors: Vec<Value> = refused.iter().take(REASONS_MAX).map(reason).collect();
    Ok(Json(json!({
        "success": true,
        "message": format!("stored accepted={taken} rejected={}", refused.len()),
        "accepted": taken,
        "rejected": refused.len(),
        "errors": errors,
    }))
    .into_response())
}
