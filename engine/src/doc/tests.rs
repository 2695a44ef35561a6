use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(String),
    Bytes(Vec<u8>),
    Array(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::I64),
        (i64::MAX as u64 + 1..).prop_map(Tree::U64),
        any::<f64>().prop_map(Tree::F64),
        ".{0,120}".prop_map(Tree::Str),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Bytes),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::Array),
            prop::collection::vec(("[a-z.]{0,4}", inner), 0..6).prop_map(Tree::Map),
        ]
    })
}

fn write(tree: &Tree, out: &mut DocWriter) {
    match tree {
        Tree::Null => out.null(),
        Tree::Bool(b) => out.bool(*b),
        Tree::I64(n) => out.i64(*n),
        Tree::U64(n) => out.u64(*n),
        Tree::F64(n) => out.f64(*n),
        Tree::Str(s) => out.str(s),
        Tree::Bytes(b) => out.bytes(b),
        Tree::Array(items) => {
            let open = out.begin_array();
            items.iter().for_each(|t| write(t, out));
            out.end(open);
        }
        Tree::Map(entries) => {
            let open = out.begin_map();
            for (k, v) in entries {
                out.key(k);
                write(v, out);
            }
            out.end(open);
        }
    }
}

fn same(tree: &Tree, value: DocRef<'_>) -> bool {
    match (tree, value) {
        (Tree::Null, DocRef::Null) => true,
        (Tree::Bool(a), DocRef::Bool(b)) => *a == b,
        (Tree::I64(a), DocRef::I64(b)) => *a == b,
        (Tree::U64(a), DocRef::U64(b)) => *a == b,
        (Tree::F64(a), DocRef::F64(b)) => a.to_bits() == b.to_bits(),
        (Tree::Str(a), DocRef::Str(b)) => a == b,
        (Tree::Bytes(a), DocRef::Bytes(b)) => a == b,
        (Tree::Array(a), DocRef::Array(b)) => {
            let b: Vec<_> = b.map(Result::unwrap).collect();
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
        }
        (Tree::Map(a), DocRef::Map(b)) => {
            let b: Vec<_> = b.map(Result::unwrap).collect();
            a.len() == b.len() && a.iter().zip(b).all(|((k, x), (l, y))| k == l && same(x, y))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn reads_back_what_was_written(tree in tree()) {
        let mut out = DocWriter::new();
        write(&tree, &mut out);
        let bytes = out.finish();
        let value = DocRef::parse(&bytes).unwrap();
        prop_assert!(same(&tree, value));
        value.validate().unwrap();
        let mut copy = DocWriter::new();
        copy.value(value);
        prop_assert_eq!(copy.finish(), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = DocRef::parse(&bytes) {
            let _valid = value.validate().is_ok();
            let _flat = flatten(value, &mut |_, _| ()).is_ok();
        }
    }

    #[test]
    fn every_cut_is_refused(tree in tree()) {
        let mut out = DocWriter::new();
        write(&tree, &mut out);
        let bytes = out.finish();
        for end in 0..bytes.len() {
            prop_assert!(DocRef::parse(&bytes[..end]).and_then(DocRef::validate).is_err());
        }
    }
}

#[test]
fn flatten_joins_maps_and_collapses_arrays() {
    let tree = Tree::Map(vec![
        (
            "a".into(),
            Tree::Map(vec![
                ("b".into(), Tree::I64(1)),
                ("c.d".into(), Tree::Bool(true)),
            ]),
        ),
        (
            "tags".into(),
            Tree::Array(vec![
                Tree::Str("x".into()),
                Tree::Str("y".into()),
                Tree::Null,
            ]),
        ),
        ("long".into(), Tree::Str("z".repeat(97))),
        ("edge".into(), Tree::Str("z".repeat(96))),
        ("none".into(), Tree::Map(vec![])),
    ]);
    let mut out = DocWriter::new();
    write(&tree, &mut out);
    let bytes = out.finish();
    let mut seen = Vec::new();
    flatten(DocRef::parse(&bytes).unwrap(), &mut |p, s| {
        seen.push((p.to_owned(), s))
    })
    .unwrap();
    assert_eq!(
        seen,
        vec![
            ("a.b".to_owned(), Scalar::I64(1)),
            ("a.c.d".to_owned(), Scalar::Bool(true)),
            ("tags".to_owned(), Scalar::Str("x")),
            ("tags".to_owned(), Scalar::Str("y")),
            (
                "long".to_owned(),
                Scalar::Long(fingerprint("z".repeat(97).as_bytes()))
            ),
            ("edge".to_owned(), Scalar::Str(&"z".repeat(96))),
        ]
    );
}

#[test]
fn nesting_over_the_limit_is_refused() {
    let nested = |levels: usize| {
        let mut out = DocWriter::new();
        let open: Vec<_> = (0..levels).map(|_| out.begin_array()).collect();
        out.bool(true);
        open.into_iter().rev().for_each(|o| out.end(o));
        out.finish()
    };
    let at = nested(DEPTH_MAX);
    DocRef::parse(&at).unwrap().validate().unwrap();
    let above = nested(DEPTH_MAX + 1);
    assert_eq!(
        DocRef::parse(&above).unwrap().validate(),
        Err(DocError::Depth)
    );
}

#[test]
fn one_writer_holds_documents_in_a_row_and_copies_what_it_has() {
    let mut shared = DocWriter::new();
    let open = shared.begin_map();
    shared.key("a");
    shared.i64(1);
    shared.end(open);
    let shared = shared.finish();

    let mut out = DocWriter::new();
    out.reserve(64);
    out.str("first");
    let first = out.len();
    let open = out.begin_map();
    out.entries(DocRef::parse(&shared).unwrap().entries().unwrap());
    out.key("list");
    let start = out.len();
    let list = out.begin_array();
    out.str("x");
    out.end(list);
    let end = out.len();
    out.key("again");
    out.again(start..end);
    out.again(0..usize::MAX);
    out.end(open);
    let second = out.len();
    out.str("taken back");
    out.truncate(second);
    let bytes = out.finish();
    assert_eq!(DocRef::parse(&bytes[..first]), Ok(DocRef::Str("first")));
    let doc = DocRef::parse(&bytes[first..]).unwrap();
    doc.validate().unwrap();
    let keys: Vec<_> = doc.entries().unwrap().map(|e| e.unwrap().0).collect();
    assert_eq!(keys, ["a", "list", "again"]);
    assert_eq!(doc.get("a"), Some(DocRef::I64(1)));
    assert_eq!(doc.get("list"), doc.get("again"));
}
