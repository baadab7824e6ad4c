//! Where the characters of a line stand on a terminal of some width, and the escapes that put them there.

use console::measure_text_width;

/// The line as it was drawn last.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Rows between the first one of the line and the cursor.
    row: usize,
}

impl Screen {
    /// Draws `line` behind `prompt` over what was drawn last.
    pub(crate) fn draw(&mut self, prompt: &str, line: &str, cursor: usize, width: usize) -> String {
        let (text, place, end) = lay_out(prompt, line, cursor, width);
        let mut out = self.erase();
        out.push_str(&text);
        if end.0 > place.0 {
            out.push_str(&format!("\x1b[{}A", end.0 - place.0));
        }
        out.push('\r');
        if place.1 > 0 {
            out.push_str(&format!("\x1b[{}C", place.1));
        }
        self.row = place.0;
        out
    }

    /// Removes what was drawn and goes to where it began.
    pub(crate) fn erase(&mut self) -> String {
        let up = if self.row > 0 { format!("\x1b[{}A", self.row) } else { String::new() };
        self.row = 0;
        format!("{up}\r\x1b[J")
    }
}

/// The text with its line breaks, and row and column of the cursor and of the end. Breaks are written out, because
/// terminals do not agree on where the cursor is when the last column is taken.
fn lay_out(prompt: &str, line: &str, cursor: usize, width: usize) -> (String, (usize, usize), (usize, usize)) {
    let width = width.max(2);
    let mut text = String::from(prompt);
    let (mut row, mut column) = (0, measure_text_width(prompt));
    let mut place = None;
    for (at, c) in line.char_indices() {
        let shown = visible(c);
        let wide = measure_text_width(&shown);
        if column + wide > width {
            text.push_str("\r\n");
            (row, column) = (row + 1, 0);
        }
        if at == cursor {
            place = Some((row, column));
        }
        text.push_str(&shown);
        column += wide;
    }
    if column >= width {
        text.push_str("\r\n");
        (row, column) = (row + 1, 0);
    }
    (text, place.unwrap_or((row, column)), (row, column))
}

/// A character as it can be shown: one that would move the cursor as its escape.
fn visible(c: char) -> String {
    if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_never_cut_at_the_edge() {
        let (text, cursor, end) = lay_out("> ", "ab漢字c", 2 + 3, 5);
        assert_eq!(text, "> ab\r\n漢字c\r\n");
        assert_eq!((cursor, end), ((1, 2), (2, 0)));
    }

    #[test]
    fn a_line_is_drawn_over_the_one_before() {
        let mut screen = Screen::default();
        assert_eq!(screen.draw("> ", "abc", 3, 80), "\r\x1b[J> abc\r\x1b[5C");
        assert_eq!(screen.draw("> ", "abcd", 4, 4), "\r\x1b[J> ab\r\ncd\r\x1b[2C");
        assert_eq!(screen.draw("> ", "ab", 0, 80), "\x1b[1A\r\x1b[J> ab\r\x1b[2C");
    }
}
