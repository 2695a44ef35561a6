//! The parts of a multipart body → runs and feedback.
//!
//! `post.<id>` and `patch.<id>` are runs, `post.<id>.<field>` a field of one that came apart,
//! `attachment.<id>.<name>` a file of one, `feedback.<id>` feedback. A field may come before its
//! run.

use std::collections::HashMap;

use obsrv_engine::doc::DocRef;

use super::multipart::{self, Part};
use super::{Attachment, Collect, Run};
use crate::dialect::bad::Bad;
use crate::dialect::pieces::too_many_fields;
use crate::dialect::theta::parse;
use crate::dialect::{ATTRIBUTES_MAX, DecodeError, JSON_DEPTH_MAX, json};

/// What a part is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    Run {
        is_post: bool,
        id: &'a str,
    },
    Field {
        is_post: bool,
        id: &'a str,
        key: &'a str,
    },
    File {
        id: &'a str,
        name: &'a str,
    },
    Feedback,
}

pub(super) fn name_of(name: &str) -> Option<Name<'_>> {
    let (event, rest) = name.split_once('.')?;
    let (id, field) = match rest.split_once('.') {
        Some((id, field)) => (id, Some(field)),
        None => (rest, None),
    };
    match (event, field) {
        ("post" | "patch", None) => Some(Name::Run {
            is_post: event == "post",
            id,
        }),
        ("post" | "patch", Some(key)) => Some(Name::Field {
            is_post: event == "post",
            id,
            key,
        }),
        ("attachment", Some(name)) => Some(Name::File { id, name }),
        ("feedback", None) => Some(Name::Feedback),
        _ => None,
    }
}

/// A run while its parts are gathered.
#[derive(Debug, Default)]
struct Gathered<'a> {
    place: usize,
    is_post: bool,
    id: &'a str,
    main: Option<usize>,
    apart: Vec<(&'a str, usize)>,
    files: Vec<Attachment<'a>>,
    error: Option<Bad>,
}

impl Gathered<'_> {
    /// Whether one more field may come apart; if not, the run is refused.
    fn has_room(&mut self) -> bool {
        let has_room = self.apart.len() < ATTRIBUTES_MAX;
        if !has_room {
            self.error.get_or_insert(too_many_fields());
        }
        has_room
    }
}

/// Reads a form.
pub(super) fn read(collect: &mut Collect<'_>, body: &[u8]) -> Result<(), DecodeError> {
    let parts = multipart::parts(body, collect.ctx.subject)?;
    let mut docs: Vec<Vec<u8>> = Vec::new();
    let mut runs: Vec<Gathered<'_>> = Vec::new();
    let mut index: HashMap<(bool, &str), usize> = HashMap::new();
    let mut feedback = Vec::new();
    let mut files = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        match name_of(part.name) {
            Some(Name::Run { is_post, id }) => {
                let at = run_at(&mut index, &mut runs, (is_post, id), place);
                if let Some(run) = runs.get_mut(at) {
                    run.main = json_of(part, &mut docs, run);
                }
            }
            Some(Name::Field { is_post, id, key }) => {
                let at = run_at(&mut index, &mut runs, (is_post, id), place);
                if let Some(run) = runs.get_mut(at)
                    && run.has_room()
                    && let Some(doc) = json_of(part, &mut docs, run)
                {
                    run.apart.push((key, doc));
                }
            }
            Some(Name::File { id, name }) => files.push((place, id, name, part)),
            Some(Name::Feedback) => feedback.push((place, part)),
            None => collect.refuse(place, "unknown", &unknown(part.name))?,
        }
    }
    for (place, id, name, part) in files {
        let at = index.get(&(true, id)).or_else(|| index.get(&(false, id)));
        if let Some(run) = at.and_then(|at| runs.get_mut(*at)) {
            run.files.push(Attachment {
                name,
                content_type: part.content_type,
                content: part.content,
            });
        } else {
            let bad = Bad::new(part.name, "no post or patch of its run in this request");
            collect.refuse(place, "attachment", &bad)?;
        }
    }
    for run in runs {
        put_run(collect, run, &docs)?;
    }
    for (place, part) in feedback {
        match json::read(part.content, JSON_DEPTH_MAX) {
            Ok(doc) => collect.feedback(place, parse(&doc))?,
            Err(e) => collect.refuse(place, "feedback", &not_json(part.name, e))?,
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Bad {
    let name: String = name.chars().take(64).collect();
    let accepted = "accepted are post.ID, patch.ID, either with .FIELD, attachment.ID.NAME and \
                    feedback.ID";
    Bad::new("part", format!("unknown name, {accepted} name={name}"))
}

fn not_json(name: &str, error: json::JsonError) -> Bad {
    let name: String = name.chars().take(128).collect();
    Bad::new(name, format!("not valid json: {error}"))
}

fn run_at<'a>(
    index: &mut HashMap<(bool, &'a str), usize>,
    runs: &mut Vec<Gathered<'a>>,
    key: (bool, &'a str),
    place: usize,
) -> usize {
    *index.entry(key).or_insert_with(|| {
        runs.push(Gathered {
            place,
            is_post: key.0,
            id: key.1,
            ..Gathered::default()
        });
        runs.len() - 1
    })
}

/// The place of a part's document among `docs`; what is wrong with it is wrong with its run.
fn json_of(part: &Part<'_>, docs: &mut Vec<Vec<u8>>, run: &mut Gathered<'_>) -> Option<usize> {
    match json::read(part.content, JSON_DEPTH_MAX) {
        Ok(doc) => {
            docs.push(doc);
            Some(docs.len() - 1)
        }
        Err(e) => {
            run.error.get_or_insert(not_json(part.name, e));
            None
        }
    }
}

fn put_run(
    collect: &mut Collect<'_>,
    run: Gathered<'_>,
    docs: &[Vec<u8>],
) -> Result<(), DecodeError> {
    if let Some(bad) = run.error {
        return collect.refuse(run.place, "run", &bad);
    }
    let doc_at = |at: usize| docs.get(at).map_or(DocRef::Null, |doc| parse(doc));
    let Some(main) = run.main.map(doc_at) else {
        let verb = if run.is_post { "post" } else { "patch" };
        let bad = Bad::new(
            format!("{verb}.{}", run.id),
            "missing, but there are fields of it",
        );
        return collect.refuse(run.place, "run", &bad);
    };
    let whole = Run {
        main,
        apart: run
            .apart
            .into_iter()
            .map(|(k, at)| (k, doc_at(at)))
            .collect(),
        attachments: run.files,
        is_post: run.is_post,
    };
    collect.run(run.place, &whole, run.id)
}
