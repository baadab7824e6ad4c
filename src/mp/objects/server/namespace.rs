//! Names, each with a value of a type of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::super::protocol::{Change, NamespaceOperation};
use super::gate::locked;
use super::{put_option, update};
use crate::mp::task::Form;
use crate::mp::{Error, Result, wire};

#[derive(Debug)]
struct Attribute {
    /// The name of its type.
    of: String,
    bytes: Box<[u8]>,
}

#[derive(Debug, Default)]
pub(super) struct Namespace(Mutex<BTreeMap<String, Attribute>>);

impl Namespace {
    pub(super) fn perform(&self, operation: &NamespaceOperation<'_>, out: &mut Vec<u8>) -> Result<()> {
        let attributes = &mut *locked(&self.0);
        match *operation {
            NamespaceOperation::Set(name, of, bytes) => {
                attributes.insert(name.to_owned(), Attribute { of: of.to_owned(), bytes: bytes.boxed() });
            }
            NamespaceOperation::Get(name, of) => {
                let found = attributes.get(name).map(|it| it.of_type(name, of)).transpose()?;
                put_option(out, found.map(|it| &*it.bytes));
            }
            NamespaceOperation::Remove(name) => out.push(attributes.remove(name).is_some().into()),
            NamespaceOperation::Names => wire::encode(&attributes.keys().collect::<Vec<_>>(), out)?,
            NamespaceOperation::Update(name, of, change) => {
                let attribute = attributes.get_mut(name);
                let attribute = attribute.ok_or_else(|| Error::Refused(format!("there is no attribute {name}")))?;
                attribute.of_type(name, of)?;
                attribute.update(change, out)?;
            }
        }
        Ok(())
    }
}

impl Attribute {
    fn of_type(&self, name: &str, wanted: &str) -> Result<&Self> {
        if self.of == wanted {
            return Ok(self);
        }
        Err(Error::Refused(format!("attribute {name} has the type {}, not {wanted}", self.of)))
    }

    fn update(&mut self, change: Change<'_>, out: &mut Vec<u8>) -> Result<()> {
        let changed = update::run(change, Form::Whole, |given| given.extend_from_slice(&self.bytes))?;
        let (answer, new) = changed.whole()?;
        self.bytes = new.into();
        out.extend_from_slice(answer);
        Ok(())
    }
}
