//! Files that came with a run: kept in its row, as bytes.

use obsrv_engine::doc::DocRef;

use crate::dialect::pieces::Piece;

/// One file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attachment<'a> {
    pub(super) name: &'a str,
    pub(super) content_type: &'a str,
    pub(super) content: &'a [u8],
}

/// Writes the field `attachments`, if there are any.
pub(super) fn write(attachments: &[Attachment<'_>], piece: &mut Piece) {
    if attachments.is_empty() {
        return;
    }
    piece.out.key("attachments");
    let list = piece.out.begin_array();
    for attachment in attachments {
        let mime = attachment
            .content_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim();
        let open = piece.out.begin_map();
        piece.text("type", Some(kind_of(mime)));
        piece.text("name", Some(attachment.name));
        piece.text("mime", Some(mime));
        let size = i64::try_from(attachment.content.len()).unwrap_or(i64::MAX);
        piece.value("size_bytes", DocRef::I64(size));
        piece.value("data", DocRef::Bytes(attachment.content));
        piece.out.end(open);
    }
    piece.out.end(list);
}

fn kind_of(mime: &str) -> &str {
    match mime.split_once('/') {
        Some((kind @ ("image" | "audio" | "video"), _)) => kind,
        _ => "file",
    }
}
