//! `count --merge`: what other runs have counted, perhaps on other machines, together.

use std::fs;
use std::path::Path;

use ipcpipe::{Error, OneLine};

use super::doc::{Doc, Item, Stats};
use crate::manager::grammar::CountArgs;

/// Adds up the documents that `args` name.
pub(super) fn merge(args: &CountArgs) -> Result<Doc, Error> {
    if args.words.is_some() {
        let error = Error::refused("cannot add up", "words", "a file has only the most frequent ones of its texts");
        return Err(error.hint("count the texts together: count --words N FILE..."));
    }
    let docs = args.merge.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut docs = docs.into_iter().zip(&args.merge);
    let Some((mut sum, first)) = docs.next() else {
        return Err(Error::refused("cannot add up", "nothing", "no file was named"));
    };
    for (doc, path) in docs {
        let [ours, theirs] = [&sum, &doc].map(|it| (&it.unicode, &it.letters_rule, &it.case));
        if ours != theirs {
            let why = format!("it was counted by other rules than {}", OneLine::path(first));
            let error = Error::refused("cannot add", OneLine::path(path), why);
            return Err(error.hint("count again with the same --letters, --case and version of this program"));
        }
        sum.files.extend(doc.files);
    }
    // What is rare in each may be frequent in all, so the most frequent words of all are not known.
    sum.files.iter_mut().for_each(|item| item.words = None);
    if let Some(item) = sum.files.iter().find(|item| args.stats && item.stats.is_none()) {
        let error = Error::refused(
            "cannot add up",
            "statistics",
            format!("{} has none", item.path.as_deref().unwrap_or("a text")),
        );
        return Err(error.hint("count it again with --stats"));
    }
    let has_stats = !sum.files.is_empty() && sum.files.iter().all(|item| item.stats.is_some());
    sum.total = Item { stats: has_stats.then(Stats::default), ..Item::default() };
    for item in &sum.files {
        let name = item.path.as_deref().unwrap_or("a text");
        sum.total.add(item).ok_or_else(|| Error::refused("cannot add", name, "the sum is larger than 64 bits hold"))?;
    }
    sum.metrics = None;
    Ok(sum)
}

fn read(path: &Path) -> Result<Doc, Error> {
    let name = OneLine::path(path);
    let text = fs::read(path).map_err(|error| Error::os("cannot read", name, error))?;
    let doc =
        serde_json::from_slice::<Doc>(&text).map_err(|error| Error::refused("cannot add", name, error.to_string()));
    let mut doc = doc.map_err(|error| error.hint("--merge takes what 'count --format json' prints"))?;
    // Names are as this program shows them, whoever wrote the file: on one line, and nothing that a terminal obeys.
    for path in doc.files.iter_mut().filter_map(|item| item.path.as_mut()) {
        *path = OneLine::text(path).to_string();
    }
    match doc.flaw() {
        Some(flaw) => Err(Error::refused("cannot add", name, flaw)),
        None => Ok(doc),
    }
}
