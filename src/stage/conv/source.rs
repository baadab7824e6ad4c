//! Where samples come from.

use crate::record::Sample;
use crate::stage::fault::Fault;
use crate::stage::world::InputWake;

/// A source of samples that never blocks while it is read.
pub trait Samples {
    /// Writes the next samples into the front of `room` (never empty); returns how many, and what comes
    /// after them. None at all is not the end.
    fn take(&mut self, room: &mut [Sample]) -> (usize, Fill);

    /// Blocks until there may be more, until `until_ns` (CLOCK_MONOTONIC; `None`: for ever), or until a
    /// stop is asked for. Called after [`Fill::Dry`] only.
    fn wait(&mut self, until_ns: Option<u64>) -> InputWake;

    /// How many invalid samples were passed over so far.
    fn skipped(&self) -> u64 {
        0
    }
}

/// What [`Samples::take`] has after the samples it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Perhaps more, at once.
    More,
    /// Nothing at the moment.
    Dry,
    /// Nothing, ever.
    End,
    /// Something that is not a sample, or an input that cannot be read: what and where.
    Fault(Fault),
}
