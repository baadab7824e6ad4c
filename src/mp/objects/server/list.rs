//! Lists, and arrays, whose length never changes: the bytes of each element.

use std::sync::Mutex;

use super::super::protocol::{Bytes, Change, ListOperation};
use super::gate::locked;
use super::{put_option, put_sequence, update};
use crate::mp::task::Form;
use crate::mp::{Error, Result, wire};

type Items = Vec<Box<[u8]>>;

#[derive(Debug)]
pub(super) struct List {
    items: Mutex<Items>,
    is_array: bool,
}

impl List {
    pub(super) fn empty() -> Self {
        Self { items: Mutex::default(), is_array: false }
    }

    pub(super) fn array(items: &[Bytes<'_>]) -> Self {
        Self { items: Mutex::new(items.iter().map(Bytes::boxed).collect()), is_array: true }
    }

    pub(super) fn perform(&self, operation: &ListOperation<'_>, out: &mut Vec<u8>) -> Result<()> {
        let items = &mut *locked(&self.items);
        match operation {
            ListOperation::Get(index) => put_option(out, place(items, *index).ok().map(|at| &*items[at])),
            ListOperation::Set(index, item) => {
                let at = place(items, *index)?;
                items[at] = item.boxed();
            }
            ListOperation::Len => wire::encode(&(items.len() as u64), out)?,
            ListOperation::All => put_sequence(out, items.len(), items.iter().map(|it| &**it))?,
            ListOperation::Update(change) => self.update_all(items, *change, out)?,
            ListOperation::UpdateAt(index, change) => update_at(items, *index, *change, out)?,
            _ if self.is_array => return Err(fixed()),
            ListOperation::Push(item) => items.push(item.boxed()),
            ListOperation::Pop => put_option(out, items.pop().as_deref()),
            ListOperation::Insert(index, item) => {
                // One behind the last is a place for a new one.
                let at = usize::try_from(*index).ok().filter(|&at| at <= items.len());
                items.insert(at.ok_or_else(|| beyond(items, *index))?, item.boxed());
            }
            ListOperation::Remove(index) => {
                let at = place(items, *index)?;
                out.extend_from_slice(&items.remove(at));
            }
            ListOperation::Extend(new) => items.extend(new.iter().map(Bytes::boxed)),
            ListOperation::Clear => items.clear(),
        }
        Ok(())
    }

    fn update_all(&self, items: &mut Items, change: Change<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut state = Vec::new();
        put_sequence(&mut state, items.len(), items.iter().map(|it| &**it))?;
        let changed = update::run(change, Form::Parts, |given| given.append(&mut state))?;
        let (answer, parts) = changed.parts()?;
        if self.is_array && parts.len() != items.len() {
            return Err(fixed());
        }
        *items = parts.into_iter().map(Box::from).collect();
        out.extend_from_slice(answer);
        Ok(())
    }
}

fn update_at(items: &mut Items, index: u64, change: Change<'_>, out: &mut Vec<u8>) -> Result<()> {
    let at = place(items, index)?;
    let changed = update::run(change, Form::Whole, |given| given.extend_from_slice(&items[at]))?;
    let (answer, new) = changed.whole()?;
    items[at] = new.into();
    out.extend_from_slice(answer);
    Ok(())
}

fn place(items: &Items, index: u64) -> Result<usize> {
    usize::try_from(index).ok().filter(|&at| at < items.len()).ok_or_else(|| beyond(items, index))
}

fn beyond(items: &Items, index: u64) -> Error {
    Error::Refused(format!("there is no element {index} among {}", items.len()))
}

fn fixed() -> Error {
    Error::Refused("the length of an array is fixed".to_owned())
}
