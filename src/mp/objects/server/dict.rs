//! Maps from the bytes of keys to the bytes of values.

use std::collections::HashMap;
use std::sync::Mutex;

use super::super::protocol::{Bytes, Change, DictOperation};
use super::gate::locked;
use super::{put_option, put_sequence, update};
use crate::mp::task::Form;
use crate::mp::{Error, Result, wire};

type Entries = HashMap<Box<[u8]>, Box<[u8]>>;

#[derive(Debug, Default)]
pub(super) struct Dict(Mutex<Entries>);

impl Dict {
    pub(super) fn perform(&self, operation: &DictOperation<'_>, out: &mut Vec<u8>) -> Result<()> {
        let entries = &mut *locked(&self.0);
        match operation {
            DictOperation::Set(key, value) => set(entries, *key, *value),
            DictOperation::Insert(key, value) => put_option(out, entries.insert(key.boxed(), value.boxed()).as_deref()),
            DictOperation::GetOrInsert(key, value) => {
                let value = entries.entry(key.boxed()).or_insert_with(|| value.boxed());
                out.extend_from_slice(value);
            }
            DictOperation::Get(key) => put_option(out, entries.get(key.0).map(|value| &**value)),
            DictOperation::Remove(key) => put_option(out, entries.remove(key.0).as_deref()),
            DictOperation::Contains(key) => out.push(entries.contains_key(key.0).into()),
            DictOperation::Len => wire::encode(&(entries.len() as u64), out)?,
            DictOperation::Extend(new) => new.iter().for_each(|(key, value)| set(entries, *key, *value)),
            DictOperation::Clear => entries.clear(),
            DictOperation::Keys => put_sequence(out, entries.len(), entries.keys().map(|it| &**it))?,
            DictOperation::Values => put_sequence(out, entries.len(), entries.values().map(|it| &**it))?,
            DictOperation::All => put_all(entries, out)?,
            DictOperation::Update(change) => update_all(entries, *change, out)?,
            DictOperation::UpdateKey(key, change) => update_key(entries, *key, *change, out)?,
        }
        Ok(())
    }
}

fn set(entries: &mut Entries, key: Bytes<'_>, value: Bytes<'_>) {
    match entries.get_mut(key.0) {
        Some(old) => *old = value.boxed(),
        None => drop(entries.insert(key.boxed(), value.boxed())),
    }
}

fn put_all(entries: &Entries, out: &mut Vec<u8>) -> Result<()> {
    put_sequence(out, entries.len(), entries.iter().flat_map(|(key, value)| [&**key, &**value]))
}

fn update_all(entries: &mut Entries, change: Change<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mut state = Vec::new();
    put_all(entries, &mut state)?;
    let changed = update::run(change, Form::Parts, |given| given.append(&mut state))?;
    let (answer, parts) = changed.parts()?;
    if parts.len() % 2 != 0 {
        return Err(Error::codec("the task does not answer with a map"));
    }
    *entries = parts.chunks_exact(2).map(|pair| (pair[0].into(), pair[1].into())).collect();
    out.extend_from_slice(answer);
    Ok(())
}

/// The state is an option of the value: none before if the key is new, none after to remove it.
fn update_key(entries: &mut Entries, key: Bytes<'_>, change: Change<'_>, out: &mut Vec<u8>) -> Result<()> {
    let old = entries.get(key.0).map(|value| &**value);
    let changed = update::run(change, Form::Whole, |given| put_option(given, old))?;
    let (answer, new) = changed.whole()?;
    match new.split_first() {
        Some((0, [])) => drop(entries.remove(key.0)),
        Some((1, value)) => set(entries, key, Bytes(value)),
        _ => return Err(Error::codec("the task does not answer with an option")),
    }
    out.extend_from_slice(answer);
    Ok(())
}
