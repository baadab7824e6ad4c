//! The state of a line that is being typed: no terminal here, so that every key can be tested.

use super::keys::Key;

/// A line, the place in it, and the lines before it.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    line: String,
    /// In bytes, at the beginning of a character or at the end.
    cursor: usize,
    history: Vec<String>,
    /// The line of the history that is shown.
    shown: Option<usize>,
    /// What was typed before the history was looked at.
    own: String,
    killed: String,
}

/// What follows from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More keys.
    More,
    /// The line is done.
    Line(String),
    /// It was given up.
    Cancelled,
    /// No more lines.
    End,
    /// Show the line on an empty screen.
    Clear,
    /// Suspend the program.
    Suspend,
    /// These could go on from here.
    Candidates(Vec<String>),
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Where the word begins that they would replace.
    pub(crate) start: usize,
    /// The words.
    pub(crate) candidates: Vec<String>,
}

impl Editor {
    /// An empty line after `history`, the oldest first.
    pub(crate) fn new(history: Vec<String>) -> Self {
        Self { history, ..Self::default() }
    }

    /// The line and the cursor in it.
    pub(crate) fn state(&self) -> (&str, usize) {
        (&self.line, self.cursor)
    }

    /// Carries out one key; `complete` finds what could go on from the text before the cursor.
    pub(crate) fn press(&mut self, key: Key, complete: &mut dyn FnMut(&str) -> Completion) -> Step {
        match key {
            Key::Enter => return Step::Line(self.take()),
            Key::Cancel => {
                self.take();
                return Step::Cancelled;
            }
            Key::Eof if self.line.is_empty() => return Step::End,
            Key::Clear => return Step::Clear,
            Key::Suspend => return Step::Suspend,
            Key::Tab => return self.complete(complete),
            Key::Up => self.recall(-1),
            Key::Down => self.recall(1),
            Key::Search => self.search(),
            _ => self.edit(key),
        }
        Step::More
    }

    /// Adds a line to the history, unless it is blank or there already; true if it was added.
    pub(crate) fn remember(&mut self, line: &str) -> bool {
        let new = !line.trim().is_empty() && self.history.last().is_none_or(|last| last != line);
        if new {
            self.history.push(line.to_owned());
        }
        new
    }

    fn take(&mut self) -> String {
        self.cursor = 0;
        self.shown = None;
        std::mem::take(&mut self.line)
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => {
                self.line.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
            Key::Left => self.cursor = self.before(),
            Key::Right => self.cursor = self.behind(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.line.len(),
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_behind(),
            Key::Backspace => self.remove(self.before(), self.cursor),
            Key::Delete | Key::Eof => self.remove(self.cursor, self.behind()),
            Key::KillToEnd => self.kill(self.cursor, self.line.len()),
            Key::KillToStart => self.kill(0, self.cursor),
            Key::KillWord => self.kill(self.word_before(), self.cursor),
            Key::Yank => {
                self.line.insert_str(self.cursor, &self.killed);
                self.cursor += self.killed.len();
            }
            _ => {}
        }
    }

    fn before(&self) -> usize {
        self.line[..self.cursor].char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn behind(&self) -> usize {
        self.line[self.cursor..].chars().next().map_or(self.cursor, |c| self.cursor + c.len_utf8())
    }

    fn word_before(&self) -> usize {
        let text = self.line[..self.cursor].trim_end();
        text.rfind(char::is_whitespace).map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8))
    }

    fn word_behind(&self) -> usize {
        let rest = &self.line[self.cursor..];
        let word = rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len());
        rest[word..].find(char::is_whitespace).map_or(self.line.len(), |end| self.cursor + word + end)
    }

    fn remove(&mut self, start: usize, end: usize) {
        self.line.drain(start..end);
        self.cursor = start;
    }

    fn kill(&mut self, start: usize, end: usize) {
        if start < end {
            self.killed = self.line[start..end].to_owned();
            self.remove(start, end);
        }
    }

    /// Shows the line of the history `by` steps from the one that is shown; what was typed comes after the last.
    fn recall(&mut self, by: isize) {
        let now = self.shown.unwrap_or(self.history.len());
        let Some(next) = now.checked_add_signed(by).filter(|next| *next <= self.history.len()) else { return };
        if self.shown.is_none() {
            self.own.clone_from(&self.line);
        }
        self.shown = (next < self.history.len()).then_some(next);
        self.line = self.shown.map_or_else(|| self.own.clone(), |at| self.history[at].clone());
        self.cursor = self.line.len();
    }

    /// Shows the last line of the history before the shown one that holds what was typed.
    fn search(&mut self) {
        if self.shown.is_none() {
            self.own.clone_from(&self.line);
        }
        let before = &self.history[..self.shown.unwrap_or(self.history.len())];
        if let Some(at) = before.iter().rposition(|line| line.contains(&self.own)) {
            self.shown = Some(at);
            self.line.clone_from(&self.history[at]);
            self.cursor = self.line.len();
        }
    }

    fn complete(&mut self, complete: &mut dyn FnMut(&str) -> Completion) -> Step {
        let Completion { start, candidates } = complete(&self.line[..self.cursor]);
        let common = common_prefix(&candidates);
        let typed = self.cursor - start;
        match candidates.as_slice() {
            [] => Step::More,
            [one] => {
                // A directory goes on, and so does the beginning of a value.
                let end = if one.ends_with(['/', ':']) { "" } else { " " };
                self.replace(start, &format!("{one}{end}"));
                Step::More
            }
            _ if common.len() > typed => {
                let common = common.to_owned();
                self.replace(start, &common);
                Step::More
            }
            _ => Step::Candidates(candidates),
        }
    }

    fn replace(&mut self, start: usize, text: &str) {
        self.line.replace_range(start..self.cursor, text);
        self.cursor = start + text.len();
    }
}

fn common_prefix(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else { return "" };
    let same = |at: usize| others.iter().all(|other| other.get(..at) == first.get(..at));
    let ends = first.char_indices().map(|(at, c)| at + c.len_utf8());
    &first[..ends.take_while(|end| same(*end)).last().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(editor: &mut Editor, text: &str) {
        text.chars().for_each(|c| drop(press(editor, Key::Char(c))));
    }

    fn press(editor: &mut Editor, key: Key) -> Step {
        editor.press(key, &mut |_| Completion::default())
    }

    #[test]
    fn a_line_is_edited_at_the_cursor() {
        let mut editor = Editor::default();
        type_in(&mut editor, "pause größe p1");
        for key in [Key::WordLeft, Key::Left, Key::Backspace, Key::Home, Key::Delete, Key::Char('P'), Key::End] {
            assert_eq!(press(&mut editor, key), Step::More);
        }
        assert_eq!(editor.state(), ("Pause größ p1", "Pause größ p1".len()));
        press(&mut editor, Key::KillWord);
        press(&mut editor, Key::KillToStart);
        press(&mut editor, Key::Yank);
        assert_eq!(editor.state().0, "Pause größ ");
        press(&mut editor, Key::Home);
        press(&mut editor, Key::WordRight);
        press(&mut editor, Key::KillToEnd);
        assert_eq!(press(&mut editor, Key::Enter), Step::Line("Pause".into()));
        assert_eq!(editor.state(), ("", 0));
    }

    #[test]
    fn control_keys_end_a_line_or_the_input() {
        let mut editor = Editor::default();
        assert_eq!(press(&mut editor, Key::Eof), Step::End);
        type_in(&mut editor, "ab");
        press(&mut editor, Key::Home);
        assert_eq!(press(&mut editor, Key::Eof), Step::More);
        assert_eq!(editor.state(), ("b", 0));
        assert_eq!(press(&mut editor, Key::Cancel), Step::Cancelled);
        assert_eq!(editor.state(), ("", 0));
        assert_eq!([Key::Suspend, Key::Clear].map(|key| press(&mut editor, key)), [Step::Suspend, Step::Clear]);
    }

    #[test]
    fn the_history_comes_back_and_so_does_what_was_typed() {
        let mut editor = Editor::new(vec!["one".into(), "two".into()]);
        assert!(!editor.remember("two") && !editor.remember("  ") && editor.remember("three"));
        type_in(&mut editor, "mine");
        let shown = [Key::Up, Key::Up, Key::Up, Key::Up, Key::Down, Key::Down, Key::Down, Key::Down].map(|key| {
            press(&mut editor, key);
            editor.state().0.to_owned()
        });
        assert_eq!(shown, ["three", "two", "one", "one", "two", "three", "mine", "mine"]);
    }

    #[test]
    fn the_history_is_searched_for_what_was_typed() {
        let mut editor = Editor::new(["pause web", "list", "resume web", "quit"].map(str::to_owned).to_vec());
        type_in(&mut editor, "web");
        let shown = [Key::Search, Key::Search, Key::Search, Key::Down].map(|key| {
            press(&mut editor, key);
            editor.state().0.to_owned()
        });
        assert_eq!(shown, ["resume web", "pause web", "pause web", "list"]);
    }

    #[test]
    fn a_word_is_completed_as_far_as_it_is_certain() {
        let mut editor = Editor::default();
        type_in(&mut editor, "pause w");
        let mut web = |_: &str| Completion { start: 6, candidates: vec!["web-1".into(), "web-2".into()] };
        assert_eq!(editor.press(Key::Tab, &mut web), Step::More);
        assert_eq!(editor.state().0, "pause web-");
        assert_eq!(editor.press(Key::Tab, &mut web), Step::Candidates(vec!["web-1".into(), "web-2".into()]));
        let mut one = |_: &str| Completion { start: 6, candidates: vec!["web-1".into()] };
        editor.press(Key::Tab, &mut one);
        assert_eq!(editor.state().0, "pause web-1 ");
        let mut dir = |_: &str| Completion { start: 0, candidates: vec!["bin/".into()] };
        editor.press(Key::Tab, &mut dir);
        assert_eq!(editor.state().0, "bin/");
    }
}
