//! Characters that are not allowed in a name or a line.

/// Whether a character can break a line, control a terminal, change the reading direction of the text around it
/// ("Trojan Source"), or is invisible, so that a name looks like another one. Such characters are refused in names and
/// replaced in foreign text.
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
        || is_invisible(c)
}

/// Characters that have no width in any script, fillers that look like a blank, and tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a name cannot be mistaken for another one: it has no disruptive character. A joiner or variation selector,
/// which some scripts and emoji need, is allowed only after a non-ASCII character that it can join or vary.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let mut last = ' ';
    text.chars().all(|c| {
        let is_loose = is_joiner(c) && (last.is_ascii() || is_joiner(last) && c == last);
        last = c;
        !is_loose && !is_disruptive(c)
    })
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
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
    fn control_and_direction_characters_are_disruptive() {
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

    #[test]
    fn name_with_invisible_characters_is_not_plain() {
        for c in ['\u{ad}', '\u{200b}', '\u{2060}', '\u{180e}', '\u{3164}', '\u{e0041}', '\u{200d}', '\u{fe0f}'] {
            for name in [format!("off{c}ice"), format!("{c}office"), format!("office{c}"), c.to_string()] {
                assert!(!is_plain(&name), "{name:?}");
            }
        }
        for name in ["Büro 1", "می\u{200c}خواهم", "❤\u{fe0f}", "👩\u{200d}🚀", "क्\u{200d}ष"] {
            assert!(is_plain(name), "{name:?}");
        }
    }
}
