//! Search in English, Arabic, Chinese and Japanese over sections with an index of terms: whatever is cut out of a
//! text is found in exactly the texts that a plain reading finds it in. The sentences were written for this test.

use super::index::{ask, segment_of};
use crate::body::Content;
use crate::doc::DocWriter;
use crate::query::ast::{Filter, TextTest};
use crate::row::{RowKey, Stamp};
use crate::segment::RowInput;

use std::fmt::Write as _;

use bytes::Bytes;

/// Above the number of rows from which there are bitmaps.
const ROWS: u32 = 4_200;
const CUTS: u32 = 60;

const ENGLISH: [&str; 8] = [
    "The agent asked the billing service for an invoice and was refused.",
    "Rate-limit reached: try again in 30 seconds, or ask for more quota!",
    "A naïve résumé parser dropped every Café after the first comma.",
    "Plan: read the file, call run_sql, then write the answer down.",
    "He said “it doesn’t matter”, and the run went on as before.",
    "Errors of the kind E_TIMEOUT came from eu-west-1 alone.",
    "Nothing was stored; the client sent the same batch a second time.",
    "Größe und Straße are words that fold, and so is ﬁle with a ligature.",
];
const ARABIC: [&str; 8] = [
    "سأل الوكيل خدمة الفواتير عن فاتورة فرفضت الطلب.",
    "تم بلوغ الحد الأقصى، حاول مرة أخرى بعد ثلاثين ثانية.",
    "كَتَبَ المُسْتَخْدِمُ رِسَالَةً طويلةً ثم حذفها.",
    "الخطة: اقرأ الملف ثم اكتب الجواب في قاعدة البيانات.",
    "إلى المدينة أو من المدينة؟ لا فرق عند النموذج.",
    "وصلت أخطاء المهلة من منطقة واحدة فقط.",
    "لم يُحفظ شيء وأعاد العميل إرسال الدفعة نفسها.",
    "العـــربية تُكتب بالتطويل أحياناً وبدونه أحياناً أخرى.",
];
const CHINESE: [&str; 8] = [
    "代理向计费服务请求发票，但是被拒绝了。",
    "已达到速率限制，请在三十秒后重试。",
    "计划：先读取文件，再调用数据库，最后写下答案。",
    "用户在北京大学附近搜索附近的大学和北京的餐厅。",
    "模型回答说：“没有关系”，运行继续进行。",
    "超时错误只来自一个区域，其他区域正常。",
    "什么都没有保存，客户端又发送了同一批数据。",
    "工具 run_sql 返回了 42 行，耗时 3 秒。",
];
const JAPANESE: [&str; 8] = [
    "エージェントは請求サービスに請求書を求めたが断られた。",
    "レート制限に達しました。三十秒後にもう一度お試しください。",
    "東京都の天気と京都の天気は違います。",
    "計画：ファイルを読み、データベースを呼び出して答えを書く。",
    "モデルは「かまいません」と答え、処理は続いた。",
    "タイムアウトのエラーは一つの地域からだけ来た。",
    "何も保存されず、クライアントは同じバッチを再送した。",
    "ﾊﾝｶｸのカナとカタカナ、全角のＡＰＩと半角のAPIがある。",
];
const ALL: [&[&str]; 4] = [&ENGLISH, &ARABIC, &CHINESE, &JAPANESE];

/// xorshift: the same texts every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// Pieces of sentences of mostly one language, so that hardly two texts are the same.
fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    let language = dice.roll(4);
    for _ in 0..2 + dice.roll(3) {
        let of = if dice.roll(8) == 0 {
            dice.roll(4)
        } else {
            language
        };
        let sentence: Vec<char> = ALL[of][dice.roll(8)].chars().collect();
        let from = dice.roll(sentence.len() / 2);
        let to = from + 1 + dice.roll(sentence.len() - from);
        text.extend(&sentence[from..to.min(sentence.len())]);
        text.push_str([" ", "\n", "", ", "][dice.roll(4)]);
    }
    text
}

/// A text as most clients write it in JSON: ASCII alone.
fn json(text: &str) -> String {
    let mut out = String::from("{\"content\": \"");
    for unit in text.encode_utf16() {
        match unit {
            0x22 | 0x5c => out.extend(['\\', char::from_u32(u32::from(unit)).unwrap()]),
            0x0a => out.push_str("\\n"),
            0x20..0x7f => out.push(char::from_u32(u32::from(unit)).unwrap()),
            _ => write!(out, "\\u{unit:04x}").unwrap(),
        }
    }
    out + "\"}"
}

/// A text as it is stored, and as it was before it was written as JSON: every third is, every ninth twice.
fn forms(n: u32, text: String) -> Vec<String> {
    let mut forms = vec![text];
    for every in [3, 9] {
        if n.is_multiple_of(every) {
            forms.insert(0, json(&forms[0]));
        }
    }
    forms
}

/// Scripts of which each character is a word.
fn is_sign(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF)
}

/// What a character of these texts is compared as; half-width kana and others as they are written out.
fn folded(c: char) -> String {
    const PLAIN: [(&str, &str); 13] = [
        ("éèê", "e"),
        ("ï", "i"),
        ("ö", "o"),
        ("ß", "ss"),
        ("ﬁ", "fi"),
        ("أإآ", "ا"),
        ("ؤ", "و"),
        ("ئ", "ي"),
        ("Ａ", "a"),
        ("Ｐ", "p"),
        ("Ｉ", "i"),
        ("ﾊ", "ハ"),
        ("ﾝ", "ン"),
    ];
    let vowel_or_tatweel = matches!(u32::from(c), 0x064B..=0x0655 | 0x0670 | 0x0640);
    if vowel_or_tatweel {
        return String::new();
    }
    match c {
        'ｶ' => return "カ".to_owned(),
        'ｸ' => return "ク".to_owned(),
        _ => {}
    }
    let found = PLAIN.iter().find(|(from, _)| from.contains(c));
    found.map_or_else(|| c.to_lowercase().collect(), |(_, to)| (*to).to_owned())
}

/// The words of a text, by reading it character by character.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word) = (Vec::new(), String::new());
    for c in text.chars() {
        let plain = folded(c);
        if plain.chars().any(is_sign) {
            all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            all.extend(plain.chars().map(String::from));
        } else if plain.is_empty() || plain.chars().all(char::is_alphanumeric) {
            word.push_str(&plain);
        } else {
            all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}

fn row((n, text): (u32, &String)) -> RowInput {
    let mut doc = DocWriter::new();
    let map = doc.begin_map();
    doc.key("§");
    doc.str(text);
    doc.end(map);
    RowInput {
        key: RowKey {
            trace_id: format!("t{}", n / 7).into(),
            id: format!("s{n:06}").into(),
        },
        start_ns: i64::from(n) * 1_000_000_000,
        end_ns: None,
        lsn_first: 1,
        lsn_last: 1,
        content: Content::Complete {
            stamp: Stamp::default(),
            doc: Bytes::from(doc.finish()),
            cost: None,
        },
    }
}

#[test]
fn what_is_cut_out_of_a_text_is_found_where_a_plain_reading_finds_it() {
    let mut dice = Dice(0x5EED_0F7E_875A_11CE);
    let texts: Vec<Vec<String>> = (0..ROWS).map(|n| forms(n, text(&mut dice))).collect();
    let split = texts
        .iter()
        .map(|forms| forms.iter().map(|form| words(form)).collect());
    let split: Vec<Vec<Vec<String>>> = split.collect();
    let stored = texts.iter().map(|forms| &forms[0]);
    let segment = segment_of((0..ROWS).zip(stored).map(row).collect());
    let newest = |passes: &dyn Fn(usize) -> bool| -> Vec<u32> {
        (0..ROWS)
            .rev()
            .filter(|n| passes(usize::try_from(*n).unwrap()))
            .collect()
    };
    let (mut found_of, mut several) = ([0_usize; 4], 0);
    for cut in 0..CUTS {
        for (language, sentences) in ALL.iter().enumerate() {
            let sentence: Vec<char> = sentences[dice.roll(8)].chars().collect();
            let from = dice.roll(sentence.len() - 1);
            let length = 1 + dice.roll(12.min(sentence.len() - from - 1).max(1));
            let part: String = sentence[from..from + length].iter().collect();
            // As a substring: any characters, in the middle of words, too.
            let filter = Filter::Text(TextTest::Contains(part.clone()));
            let lower = part.to_ascii_lowercase();
            let expected = newest(&|n| {
                let forms = &texts[n];
                forms
                    .iter()
                    .any(|form| form.to_ascii_lowercase().contains(&lower))
            });
            assert_eq!(ask(&segment, &[], &filter).0, expected, "contains {part:?}");
            // As a phrase: whole words, one behind the other, whatever is between them.
            let wanted = words(&part);
            if wanted.is_empty() {
                continue;
            }
            let shouted = if cut % 2 == 0 {
                part.to_uppercase()
            } else {
                part.clone()
            };
            let filter = Filter::Text(TextTest::Words(shouted));
            let in_form =
                |form: &Vec<String>| form.windows(wanted.len()).any(|some| some == wanted);
            let has = |n: usize| split[n].iter().any(in_form);
            let expected = newest(&has);
            assert_eq!(ask(&segment, &[], &filter).0, expected, "words {part:?}");
            found_of[language] += expected.len();
            several += usize::from(wanted.len() > 1 && !expected.is_empty());
        }
    }
    assert!(found_of.iter().all(|found| *found > 100), "{found_of:?}");
    assert!(
        several > 60,
        "only {several} phrases of several words were found"
    );
}
