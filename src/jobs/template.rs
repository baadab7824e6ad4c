//! The command line of every job, with a place for its input.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, OneLine};

/// What stands for the input.
const PLACE: &[u8] = b"{}";

/// No such file (errno(3)).
pub(super) const ENOENT: i32 = 2;
/// It may not be executed (errno(3)).
const EACCES: i32 = 13;

/// Where a program is looked for when the environment does not say it, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program and its arguments, in which `{}` stands for the input of a job: wherever in a word, and as often as it does.
/// Where no word has it, the input is one more argument at the end.
///
/// No shell reads what comes of it, so an input is never more or less than what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    words: Vec<Word>,
}

/// The pieces of a word; between each two of them the input stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word(Vec<Vec<u8>>);

impl Template {
    /// The template that `words` are; None without any, for there would be nothing to run.
    pub fn new(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words: Vec<Word> = words.into_iter().map(|word| Word::new(word.as_bytes())).collect();
        if words.is_empty() {
            return None;
        }
        if words.iter().all(Word::is_fixed) {
            words.push(Word(vec![Vec::new(), Vec::new()]));
        }
        Some(Self { words })
    }

    /// The command line for `input`: the program and its arguments.
    #[must_use]
    pub fn fill(&self, input: &OsStr) -> Vec<OsString> {
        self.words.iter().map(|word| word.fill(input.as_bytes())).collect()
    }

    /// The program, if it is the same for every input.
    #[must_use]
    pub fn program(&self) -> Option<&OsStr> {
        self.words.first().filter(|word| word.is_fixed()).map(|word| OsStr::from_bytes(&word.0[0]))
    }
}

impl Word {
    fn new(mut text: &[u8]) -> Self {
        let mut pieces = Vec::new();
        while let Some(at) = text.windows(PLACE.len()).position(|window| window == PLACE) {
            pieces.push(text[..at].to_vec());
            text = &text[at + PLACE.len()..];
        }
        pieces.push(text.to_vec());
        Self(pieces)
    }

    fn is_fixed(&self) -> bool {
        self.0.len() == 1
    }

    fn fill(&self, input: &[u8]) -> OsString {
        OsString::from_vec(self.0.join(input))
    }
}

/// The file that execvp(3) would execute for `program`. To know it before the first job spares every job the search.
///
/// # Errors
/// ENOENT if there is none, EACCES if nobody may execute it.
pub fn find_program(program: &OsStr) -> Result<PathBuf, Error> {
    let failed =
        |errno| Error::os("cannot start", OneLine::path(Path::new(program)), io::Error::from_raw_os_error(errno));
    if program.as_bytes().contains(&b'/') {
        return match look(Path::new(program)) {
            Ok(()) => Ok(program.into()),
            Err(errno) => Err(failed(errno)),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut reason = ENOENT;
    for dir in std::env::split_paths(&path).filter(|_| !program.is_empty()) {
        let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir };
        let file = dir.join(program);
        match look(&file) {
            Ok(()) => return Ok(file),
            Err(errno) if errno == EACCES => reason = EACCES,
            Err(_) => {}
        }
    }
    Err(failed(reason))
}

/// Whether `file` is one that somebody may execute; whether we may, the kernel says in the end.
fn look(file: &Path) -> Result<(), i32> {
    match fs::metadata(file) {
        Ok(it) if it.is_file() && it.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(EACCES),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(EACCES),
        Err(_) => Err(ENOENT),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(words: &[&str], input: &str) -> Vec<OsString> {
        Template::new(words.iter().map(OsString::from)).unwrap().fill(OsStr::new(input))
    }

    #[test]
    fn the_input_stands_wherever_its_place_is_or_at_the_end() {
        assert_eq!(filled(&["gzip", "-k", "{}"], "a b"), ["gzip", "-k", "a b"]);
        assert_eq!(filled(&["cp", "{}", "{}.bak"], "x"), ["cp", "x", "x.bak"]);
        assert_eq!(filled(&["a{}b{}c", "{", "}", "{{}}"], "{}"), ["a{}b{}c", "{", "}", "{{}}"]);
        assert_eq!(filled(&["echo"], "it's"), ["echo", "it's"]);
        assert_eq!(filled(&["{}"], "./run"), ["./run"]);
        assert_eq!(filled(&["echo", "-{}-"], ""), ["echo", "--"]);
        assert_eq!(Template::new([]), None);
    }

    #[test]
    fn a_program_is_known_before_the_first_input_unless_it_is_one() {
        let program =
            |words: &[&str]| Template::new(words.iter().map(OsString::from)).unwrap().program().map(OsStr::to_owned);
        assert_eq!(program(&["ls", "{}"]), Some("ls".into()));
        assert_eq!((program(&["{}"]), program(&["./{}.sh", "x"])), (None, None));
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert!(find_program(OsStr::new("sh")).unwrap().ends_with("sh"));
        assert_eq!(find_program(OsStr::new("/bin/sh")).unwrap(), Path::new("/bin/sh"));
        let errno = |name: &str| find_program(OsStr::new(name)).unwrap_err().raw_os_error();
        assert_eq!(["no-such-program", "./none", ""].map(errno), [Some(ENOENT); 3]);
        assert_eq!(["/etc/passwd", "/"].map(errno), [Some(EACCES); 2]);
    }

    proptest! {
        #[test]
        fn what_is_no_place_stays_as_it_is(words in prop::collection::vec("[a{} é'\"]{0,8}", 1..5), input in "[^{}]{0,5}") {
            let template = Template::new(words.iter().map(OsString::from)).unwrap();
            let filled = template.fill(OsStr::new(&input));
            let expected: Vec<OsString> = words.iter().map(|word| word.replace("{}", &input).into()).collect();
            prop_assert_eq!(&filled[..words.len()], &expected[..]);
            let has_place = words.iter().any(|word| word.contains("{}"));
            prop_assert_eq!(filled.len(), words.len() + usize::from(!has_place));
        }
    }
}
