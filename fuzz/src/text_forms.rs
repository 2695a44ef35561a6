//! What is meant behind the escapes of any text is no longer than the text.

use obsrv_engine::text_forms;

/// One execution; whether there is anything behind escapes.
pub fn run(text: &str) -> bool {
    let mut is_other = false;
    text_forms(text, &mut |form| {
        is_other = true;
        assert!(form.len() <= text.len(), "a form is longer than its text");
    });
    is_other
}

/// JSON in JSON, half a pair, a path.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":"\"\u6771\n\""}"#,
        r"\ud83d\ude00 \ud83d x \/",
        r"C:\new\table \\u00e9",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
