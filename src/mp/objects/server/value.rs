//! Values: the bytes of one.

use std::sync::Mutex;

use super::super::protocol::ValueOperation;
use super::gate::locked;
use super::update;
use crate::mp::Result;
use crate::mp::task::Form;

#[derive(Debug)]
pub(super) struct Value(Mutex<Box<[u8]>>);

impl Value {
    pub(super) fn new(bytes: Box<[u8]>) -> Self {
        Self(Mutex::new(bytes))
    }

    pub(super) fn perform(&self, operation: &ValueOperation<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut state = locked(&self.0);
        match operation {
            ValueOperation::Get => out.extend_from_slice(&state),
            ValueOperation::Set(bytes) => *state = bytes.boxed(),
            ValueOperation::Update(change) => {
                let changed = update::run(*change, Form::Whole, |given| given.extend_from_slice(&state))?;
                let (answer, new) = changed.whole()?;
                out.extend_from_slice(answer);
                *state = new.into();
            }
        }
        Ok(())
    }
}
