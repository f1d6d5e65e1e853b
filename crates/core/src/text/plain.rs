//! Characters that do not belong into a name or a line.

/// Whether a character can break a line, control a terminal, or change the reading direction of the text around it, so
/// that a name looks like another one ("Trojan Source"). Such characters are refused in names and replaced in foreign
/// text.
#[must_use]
pub fn is_disruptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The text with `replacement` in place of each disruptive character.
#[must_use]
pub fn one_line(text: &str, replacement: char) -> String {
    text.chars().map(|c| if is_disruptive(c) { replacement } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_marks_of_direction_are_disruptive_and_letters_are_not() {
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'];
        for c in ['\0', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'].into_iter().chain(marks)
        {
            assert!(is_disruptive(c), "{c:?}");
        }
        for c in ['a', ' ', 'é', 'ש', 'ع', '\u{200d}', '\u{2010}', '😀'] {
            assert!(!is_disruptive(c), "{c:?}");
        }
        assert_eq!(one_line("a\u{202e}b\nc", '?'), "a?b?c");
    }
}
