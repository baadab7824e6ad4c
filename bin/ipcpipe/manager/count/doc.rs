//! What was counted, as it is shown and as it is written down: the JSON object of `count`.

use std::collections::BTreeMap;

use ipcpipe::count::{Count, LETTERS_UNICODE, Letters, Rules, top};
use serde::{Deserialize, Serialize};

/// The version of the object: it changes when a key goes or changes its meaning.
const VERSION: u8 = 1;

/// All that `count` has to say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Doc {
    v: u8,
    #[serde(rename = "type")]
    kind: String,
    /// The version of Unicode by which letters are told.
    pub(super) unicode: String,
    pub(super) letters_rule: String,
    pub(super) case: String,
    pub(super) files: Vec<Item>,
    pub(super) total: Item,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<Metrics>,
}

/// One text, or all of them together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Item {
    /// What it is called; None for the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    /// Bytes that were counted.
    pub(super) bytes: u64,
    pub(super) letters: u64,
    pub(super) distinct: u64,
    pub(super) counts: BTreeMap<char, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stats: Option<Stats>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) words: Option<Vec<(String, u64)>>,
    pub(super) invalid: u64,
    /// It began with a byte order mark, which was not counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) bom: bool,
    /// The count was stopped: of `size` bytes only `bytes` were counted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) partial: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
}

/// Sums besides the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stats {
    pub(super) chars: u64,
    pub(super) lines: u64,
    pub(super) words: u64,
    /// The last line has no end.
    pub(super) unterminated: bool,
}

/// What the count has cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Metrics {
    pub(super) elapsed_s: f64,
    pub(super) user_s: f64,
    pub(super) sys_s: f64,
    /// CPU time a second of elapsed time: 1 is one CPU busy all the time.
    pub(super) cpus_busy: f64,
    /// CPUs that this process may use.
    pub(super) cpus: usize,
    /// The largest resident set; of several processes the sum.
    pub(super) peak_rss_kib: u64,
    /// The most anonymous memory that was seen; of several processes the sum.
    pub(super) anon_rss_kib: u64,
    pub(super) bytes_per_s: f64,
    pub(super) workers: usize,
    pub(super) mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backend: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) feed: Option<String>,
    pub(super) kernel: String,
    pub(super) io: String,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Doc {
    /// The document of `files`, which were counted by `rules`.
    pub(super) fn new(rules: &Rules, files: Vec<Item>, total: Item, metrics: Option<Metrics>) -> Self {
        Self {
            v: VERSION,
            kind: KIND.into(),
            unicode: unicode_of(rules.letters),
            letters_rule: rules.letters.name().into(),
            case: rules.case.name().into(),
            files,
            total,
            metrics,
        }
    }

    /// The object on a line of its own.
    pub(super) fn to_json(&self, quiet: bool) -> String {
        let doc = Self { metrics: self.metrics.clone().filter(|_| !quiet), ..self.clone() };
        let json = serde_json::to_string(&doc).expect("keys are letters and names, which JSON takes");
        format!("{json}\n")
    }

    /// Why this cannot be added up with others, if it cannot.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        match () {
            () if self.kind != KIND => Some("it is no count"),
            () if self.v != VERSION => Some("another version of this program wrote it"),
            () if self.files.iter().any(|item| added(item.counts.values()) != Some(item.letters)) => {
                Some("its letters do not add up")
            }
            // They would do to a terminal what whoever wrote the file likes.
            () if self.files.iter().any(|item| item.counts.keys().any(|letter| letter.is_control())) => {
                Some("it counts control characters as letters")
            }
            () => None,
        }
    }
}

const KIND: &str = "count";

/// All `numbers` together; None if that is too large.
fn added<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> Option<u64> {
    numbers.into_iter().try_fold(0_u64, |sum, &number| sum.checked_add(number))
}

/// The version of Unicode that says what a letter is.
fn unicode_of(letters: Letters) -> String {
    let (major, minor, update) = char::UNICODE_VERSION;
    match letters {
        Letters::Letter => LETTERS_UNICODE.into(),
        Letters::Alphabetic | Letters::Ascii => format!("{major}.{minor}.{update}"),
    }
}

impl Item {
    /// What was counted of the text `path`, which is `size` bytes long.
    pub(super) fn new(path: Option<String>, count: &Count, stats: bool, words: Option<usize>) -> Self {
        let totals = count.totals;
        let (chars, lines) = (totals.chars, totals.lines);
        let stats = stats.then_some(Stats { chars, lines, words: totals.words, unterminated: count.is_unterminated });
        Self {
            path,
            bytes: totals.bytes,
            letters: count.sum(),
            distinct: count.letters.len() as u64,
            counts: count.letters.clone(),
            stats,
            words: words.map(|most| top(&count.words, most)),
            invalid: totals.invalid,
            bom: count.has_mark,
            partial: false,
            size: None,
        }
    }

    /// Adds another text; None if a sum gets too large, as a file that another program wrote may have it.
    pub(super) fn add(&mut self, other: &Self) -> Option<()> {
        for (&letter, count) in &other.counts {
            add(self.counts.entry(letter).or_default(), *count)?;
        }
        add(&mut self.bytes, other.bytes)?;
        add(&mut self.letters, other.letters)?;
        self.distinct = self.counts.len() as u64;
        add(&mut self.invalid, other.invalid)?;
        self.partial |= other.partial;
        if let (Some(sum), Some(more)) = (&mut self.stats, other.stats) {
            add(&mut sum.chars, more.chars)?;
            add(&mut sum.lines, more.lines)?;
            add(&mut sum.words, more.words)?;
            sum.unterminated |= more.unterminated;
        }
        Some(())
    }
}

fn add(sum: &mut u64, more: u64) -> Option<()> {
    *sum = sum.checked_add(more)?;
    Some(())
}
