//! `bench`, which is done by the client: no manager has to run for it.

use clap::builder::PossibleValuesParser;

use crate::manager::bench;
use crate::units;

/// What stands under the options.
pub(super) const NOTES: &str = "\
Each figure is one run on this machine as it is now: other programs that use its CPUs take part. Workers that are started
once are started before the clock is. Forms: --format text or json. JSON is an object for each,
{\"v\":1,\"type\":\"bench\",\"name\":..,\"what\":..,\"count\":..,\"elapsed_s\":..}.";

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// What to measure [default: everything].
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(bench::names()))]
    pub(crate) names: Vec<String>,
    /// How often, instead of as often as takes a fraction of a second.
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count)]
    pub(crate) count: Option<u64>,
}
