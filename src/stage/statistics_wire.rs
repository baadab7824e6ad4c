//! [`Statistics`] for serde, with every float as its bits: JSON knows no infinity, and a reader of JSON
//! need not return the very float that was written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::Statistics;

#[derive(Serialize, Deserialize)]
struct Bits {
    count: u64,
    sum: u64,
    mean: u64,
    min: u64,
    max: u64,
    stddev: u64,
    last: u64,
    sent_ns: u64,
}

pub(super) fn serialize<S: Serializer>(statistics: &Statistics, serializer: S) -> Result<S::Ok, S::Error> {
    let &Statistics { count, sum, mean, min, max, stddev, last, sent_ns } = statistics;
    let [sum, mean, min, max, stddev, last] = [sum, mean, min, max, stddev, last].map(f64::to_bits);
    Bits { count, sum, mean, min, max, stddev, last, sent_ns }.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Statistics, D::Error> {
    let Bits { count, sum, mean, min, max, stddev, last, sent_ns } = Bits::deserialize(deserializer)?;
    let [sum, mean, min, max, stddev, last] = [sum, mean, min, max, stddev, last].map(f64::from_bits);
    Ok(Statistics { count, sum, mean, min, max, stddev, last, sent_ns })
}
