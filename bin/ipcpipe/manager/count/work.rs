//! The count itself: each text by threads or by processes, and what it has cost.

use std::time::{Duration, Instant};

use ipcpipe::count::{self, Count, Io, Kernel, Outcome, Rules, Source};
use ipcpipe::spread::{self, Feed, Text, Used};
use ipcpipe::sys::child::Usage;
use ipcpipe::{Error, sys};

use super::doc::{Doc, Item, Metrics};
use super::input::{Input, Way, inputs};
use super::watch::{Shared, Watch};
use super::worker;
use crate::manager::grammar::{CountArgs, Mode};
use crate::run::THIS_PROGRAM;

/// Bytes of texts that are counted sooner than a second thread is started, which hears Ctrl-C; without one it ends this
/// program.
const SHORT: u64 = 1 << 20;

/// One text that was counted.
struct Counted {
    item: Item,
    count: Count,
    workers: usize,
    kernel: Kernel,
    io: Io,
    /// How the bytes got to the workers, if those are processes.
    fed: Option<Feed>,
    used: Vec<Used>,
}

/// Counts all that `args` name. What goes wrong with one text is said, and the others are counted. What is shown as
/// `is_table` says itself that it is partial.
pub(super) fn count(args: &CountArgs, mode: Mode, is_table: bool, watch: &mut Watch) -> Result<Doc, Error> {
    let found = |shared: &Shared| inputs(args, &shared.progress, &mut |error| shared.complain(&error));
    // Only a sample takes so long that somebody may want it to end.
    let inputs = if args.sample.is_some() { watch.before(found)?? } else { found(watch.shared())? };
    let kernel = args.kernel.resolve()?;
    let size = inputs.iter().map(Input::size).sum::<Option<u64>>();
    let (began, before) = (Instant::now(), Usage::own());
    let work = |shared: &Shared| {
        let wanted = inputs.iter().take_while(|_| !shared.progress.is_stopped());
        wanted.filter_map(|input| one(input, args, mode, shared)).collect::<Vec<Counted>>()
    };
    let is_short = mode == Mode::Thread && size.is_some_and(|size| size < SHORT);
    let counted = if is_short { work(watch.shared()) } else { watch.during(size, work)? };
    let cost = Cost { elapsed: began.elapsed(), own: since(before), anonymous_kib: watch.shared().anonymous_kib() };
    let rules = args.rules();
    let mut total = total(&counted, args);
    total.partial |= watch.stopped_by().is_some() && counted.len() < inputs.len();
    if let Some(signal) = watch.stopped_by().filter(|_| total.partial) {
        let of = size.map_or_else(String::new, |size| format!(" of {size}"));
        let what = if is_table && counted.iter().any(|it| it.item.partial) { "stopped" } else { "partial count" };
        let name = sys::signal::name(signal);
        watch.shared().remark(format_args!("{what}: {name} came after {}{of} bytes", total.bytes));
    }
    let metrics = metrics(args, mode, &counted, kernel, &cost, total.bytes);
    Ok(Doc::new(&rules, counted.into_iter().map(|it| it.item).collect(), total, Some(metrics)))
}

fn one(input: &Input, args: &CountArgs, mode: Mode, shared: &Shared) -> Option<Counted> {
    let rules = args.rules();
    let counted = match mode {
        Mode::Thread => by_threads(input, args, &rules, shared).map(|outcome| (outcome, None, Vec::new())),
        Mode::Process => by_processes(input, args, &rules, shared),
    };
    match counted {
        Ok((outcome, fed, used)) => Some(Counted { fed, used, ..describe(input, args, shared, outcome) }),
        Err(error) => {
            shared.complain(&error);
            None
        }
    }
}

fn by_threads(input: &Input, args: &CountArgs, rules: &Rules, shared: &Shared) -> Result<Outcome, Error> {
    let options = count::Options { workers: args.workers.0, piece: None, kernel: args.kernel, io: args.io };
    let counted = |source: Source<'_>| count::count(source, rules, &options, &shared.progress);
    match input.open(&shared.stop)? {
        Way::Path(path) => counted(Source::Path(&path)),
        Way::Stream(reader) => counted(Source::Reader(&input.name, reader)),
    }
}

fn by_processes(
    input: &Input,
    args: &CountArgs,
    rules: &Rules,
    shared: &Shared,
) -> Result<(Outcome, Option<Feed>, Vec<Used>), Error> {
    let text = match input.open(&shared.stop)? {
        Way::Path(path) => Text::open(&path)?,
        Way::Stream(reader) => Text::stream(&input.name, reader),
    };
    let file = text.file(args.feed());
    let fed = if file.is_some() { Feed::Path } else { Feed::Stream };
    let options = spread::Options {
        workers: args.workers.0,
        backend: args.backend(),
        feed: args.feed(),
        piece: None,
        program: THIS_PROGRAM.into(),
        args: worker::arguments(args, file),
    };
    let spread::Outcome { of_text, used, remark } = spread::count(text, rules, &options, &shared.progress)?;
    if let Some(remark) = remark {
        shared.remark(remark);
    }
    Ok((of_text, Some(fed), used))
}

fn describe(input: &Input, args: &CountArgs, shared: &Shared, outcome: Outcome) -> Counted {
    let Outcome { count, size, is_partial, workers, kernel, io } = outcome;
    let mut item = Item::new(Some(input.name.clone()), &count, args.stats, args.words);
    // A stream that was stopped looks as if it had ended there.
    item.partial = is_partial || shared.progress.is_stopped() && input.size().is_none();
    item.size = size.filter(|_| is_partial);
    if count.has_mark {
        shared.remark(format_args!("{} begins with a byte order mark, which is not counted", input.name));
    }
    if count.totals.invalid > 0 {
        let how = args.rules().invalid.name();
        let what = match count.totals.invalid {
            1 => "1 sequence that is".to_owned(),
            number => format!("{number} sequences that are"),
        };
        shared.remark(format_args!("{} has {what} no UTF-8 ({how})", input.name));
    }
    Counted { item, count, workers, kernel, io, fed: None, used: Vec::new() }
}

fn total(counted: &[Counted], args: &CountArgs) -> Item {
    let mut sum = Count::default();
    let all = match counted {
        [one] => &one.count,
        several => {
            several.iter().for_each(|it| sum.merge(&it.count));
            &sum
        }
    };
    let partial = counted.iter().any(|it| it.item.partial);
    Item { partial, bom: false, ..Item::new(None, all, args.stats, args.words) }
}

/// What this process used between two moments.
struct Cost {
    elapsed: Duration,
    own: Usage,
    anonymous_kib: u64,
}

fn since(before: Usage) -> Usage {
    let now = Usage::own();
    Usage { user: now.user - before.user, sys: now.sys - before.sys, ..now }
}

fn metrics(args: &CountArgs, mode: Mode, counted: &[Counted], kernel: Kernel, cost: &Cost, bytes: u64) -> Metrics {
    let workers = || counted.iter().flat_map(|it| &it.used);
    let seconds = |own: Duration, of: fn(&Used) -> Duration| (own + workers().map(of).sum::<Duration>()).as_secs_f64();
    let (user_s, sys_s) = (seconds(cost.own.user, |used| used.user), seconds(cost.own.sys, |used| used.sys));
    let elapsed_s = cost.elapsed.as_secs_f64();
    // Of several files each has workers of its own, one file after the other.
    let most = |of: fn(&Used) -> u64| counted.iter().map(|it| it.used.iter().map(of).sum::<u64>()).max().unwrap_or(0);
    let by_process = mode == Mode::Process;
    let last = counted.last();
    Metrics {
        elapsed_s,
        user_s,
        sys_s,
        cpus_busy: (user_s + sys_s) / elapsed_s.max(1e-9),
        cpus: sys::process::cpus(),
        peak_rss_kib: cost.own.max_rss_kib + most(|used| used.max_rss_kib),
        anon_rss_kib: cost.anonymous_kib + most(|used| used.anonymous_kib),
        bytes_per_s: bytes as f64 / elapsed_s.max(1e-9),
        workers: counted.iter().map(|it| it.workers).max().unwrap_or(0),
        mode: mode.name().into(),
        backend: by_process.then(|| args.backend().name().into()),
        feed: by_process.then(|| last.and_then(|it| it.fed).unwrap_or(args.feed()).name().into()),
        kernel: last.map_or(kernel, |it| it.kernel).name().into(),
        io: last.map_or(args.io, |it| it.io).name().into(),
    }
}
