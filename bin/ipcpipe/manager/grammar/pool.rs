//! `create pool`, and the verbs that give it work: `submit`, `results`, `cancel` and `resize`.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};
use ipcpipe::manager::pool::Order;
use ipcpipe::manager::pool::spec::{MOST_WORKERS, PoolSpec, Work};
use ipcpipe::manager::{BatchTarget, Command, Name, Selector, Submission};
use ipcpipe::tasks::Builtin;

use super::{text, usage, values};

/// What stands under the options of `create pool`.
pub(super) const NOTES: &str = "\
A pool does jobs, so many at a time: 'submit POOL ARG...' gives it one for each ARG, and 'results POOL' shows what came of
them. With --task each worker is a process that lives on from job to job, and a job that kills it touches no other. Behind
'--' stands a command that is run for each job, '{}' in it for the ARG, as map does it; no shell reads it.
The tasks: primes N counts the primes up to N, sum N adds 1 to N, div A,B divides.";

/// A pool as it was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(crate) struct PoolArgs {
    /// Name of the pool.
    #[arg(value_parser = values::name)]
    name: Name,
    /// Jobs at a time; auto is one for each CPU.
    #[arg(short, long, value_name = "N|auto", default_value = "auto", value_parser = workers)]
    workers: Workers,
    /// Built-in task of the workers.
    #[arg(long, value_enum, required_unless_present = "command", conflicts_with = "command")]
    task: Option<TaskName>,
    /// Time that one try of a job may take; pauses do not count.
    #[arg(long, value_name = "DURATION", value_parser = values::period)]
    timeout: Option<Duration>,
    /// Try a job again, up to N times, that took too long or whose process failed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// Replace a worker after so many jobs.
    #[arg(long, value_name = "N", conflicts_with = "command")]
    max_jobs: Option<NonZeroU64>,
    /// Directory in which commands run [default: the one you are in].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "command")]
    cwd: Option<PathBuf>,
    /// What to run for each job, '{}' in it for the argument.
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,
}

/// The tasks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TaskName {
    /// Primes up to N.
    Primes,
    /// Sum of 1 to N.
    Sum,
    /// A divided by B.
    Div,
}

impl From<TaskName> for Builtin {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Primes => Self::Primes,
            TaskName::Sum => Self::Sum,
            TaskName::Div => Self::Div,
        }
    }
}

/// How many jobs at a time; None leaves it to the CPUs.
#[derive(Clone, Copy, Debug)]
struct Workers(Option<NonZeroUsize>);

fn workers(text: &str) -> Result<Workers, String> {
    if text == "auto" {
        return Ok(Workers(None));
    }
    number(text).map(|number| Workers(Some(number)))
}

fn number(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MOST_WORKERS);
    number.ok_or_else(|| format!("expected a number from 1 to {MOST_WORKERS}, for each worker is a process"))
}

impl PoolArgs {
    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        if self.name.as_str().contains('/') {
            return Err(usage("a name of a pool has no '/', because NAME/0 is its batch 0"));
        }
        let work = self.task.map_or_else(|| Work::Command(self.command), |task| Work::Task(task.into()));
        let workers = self.workers.0.or_else(|| std::thread::available_parallelism().ok());
        let spec = PoolSpec {
            name: self.name,
            work,
            workers: workers.map_or(1, NonZeroUsize::get).min(MOST_WORKERS),
            timeout: self.timeout,
            retries: self.retries,
            max_jobs: self.max_jobs,
            cwd: self.cwd,
        };
        Ok(Command::CreatePool(Box::new(spec)))
    }
}

/// Jobs as they were typed.
#[derive(Debug, clap::Args)]
pub(crate) struct SubmitArgs {
    /// Pool that is to do them.
    #[arg(value_name = "POOL")]
    pool: OsString,
    /// Argument of a job each, such as 4,2 for div; '-' alone reads them from standard input, one a line.
    #[arg(value_name = "ARG", required = true)]
    args: Vec<OsString>,
    /// Do the one job in a process of its own, besides the workers.
    #[arg(long)]
    single: bool,
    /// Add the jobs to a batch that this client has left open.
    #[arg(long, value_name = "N", hide = true)]
    batch: Option<u64>,
    /// Leave the batch open for more jobs of this client.
    #[arg(long, hide = true)]
    more: bool,
}

impl SubmitArgs {
    /// The pool, if the arguments of the jobs are to be read from standard input.
    pub(crate) fn read_from_stdin(&self) -> Option<&OsString> {
        (self.args.len() == 1 && self.args[0] == "-").then_some(&self.pool)
    }

    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        if self.read_from_stdin().is_some() {
            return Err(usage("'-' is standard input, which a client reads; give the arguments themselves"));
        }
        if self.single && (self.args.len() > 1 || self.batch.is_some() || self.more) {
            return Err(usage("--single is for one job"));
        }
        let Self { pool, args, single, batch, more } = self;
        Ok(Command::Submit(Submission { pool: Selector::parse(&text(pool)?), args, single, batch, more }))
    }
}

/// Which results, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct ResultsArgs {
    /// Pool, or POOL/N for one batch of it.
    #[arg(value_name = "POOL")]
    pool: OsString,
    /// Only batch N.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Order of the results of a batch: that of the jobs, or that in which they were done.
    #[arg(long, value_enum, default_value_t = OrderName::Input)]
    order: OrderName,
    /// Forget what was shown.
    #[arg(long)]
    pop: bool,
}

/// The orders.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderName {
    /// As they were done.
    Done,
    /// As they were submitted.
    Input,
}

impl ResultsArgs {
    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        let order = match self.order {
            OrderName::Done => Order::Done,
            OrderName::Input => Order::Input,
        };
        Ok(Command::Results { target: one(self.pool, self.batch)?, order, pop: self.pop })
    }
}

fn one(pool: OsString, batch: Option<u64>) -> Result<BatchTarget, clap::Error> {
    let target = BatchTarget::parse(&text(pool)?);
    match (target.batch, batch) {
        (Some(_), Some(_)) => Err(usage("say the batch once: POOL/N or POOL --batch N")),
        (own, option) => Ok(BatchTarget { batch: own.or(option), ..target }),
    }
}

/// What to call off.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    /// Pool, for all jobs of it that are not done, or POOL/N for one batch.
    #[arg(value_name = "POOL", required = true)]
    pools: Vec<OsString>,
    /// Only batch N of the one pool.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
}

impl CancelArgs {
    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        let Self { mut pools, batch } = self;
        if pools.len() > 1 && (pools[0] == "batch" || pools[0] == "pool") {
            pools.remove(0);
        }
        if batch.is_some() && pools.len() > 1 {
            return Err(usage("--batch is for one pool; say POOL/N for each"));
        }
        pools.into_iter().map(|pool| one(pool, batch)).collect::<Result<_, _>>().map(Command::Cancel)
    }
}

/// How many workers.
#[derive(Debug, clap::Args)]
pub(crate) struct ResizeArgs {
    /// Pool.
    #[arg(value_name = "POOL")]
    pool: OsString,
    /// Jobs at a time.
    #[arg(value_name = "N", value_parser = number)]
    workers: NonZeroUsize,
}

impl ResizeArgs {
    pub(super) fn lower(self) -> Result<Command, clap::Error> {
        Ok(Command::Resize { pool: Selector::parse(&text(self.pool)?), workers: self.workers })
    }
}
