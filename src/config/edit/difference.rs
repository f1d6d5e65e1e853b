//! The difference between two texts, in the format of `diff -u`.

use std::time::Duration;

use similar::TextDiff;

/// Time limit of the comparison. Beyond it, the difference may be larger than necessary.
const AT_MOST: Duration = Duration::from_millis(200);

/// The difference of two texts in the unified format, without the names of files; empty when there is none.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let difference = TextDiff::configure().timeout(AT_MOST).diff_lines(old, new);
    difference.unified_diff().missing_newline_hint(false).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_no_difference() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old: String = (1..=9).map(|n| format!("{n}\n")).collect();
        let expected = "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(unified(&old, &old.replace('5', "five")), expected);
    }

    #[test]
    fn distant_changes_are_separate_hunks() {
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replacen("1\n", "0\n1\n", 1) + "21\n";
        let expected = "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -18,3 +19,4 @@\n 18\n 19\n 20\n+21\n";
        assert_eq!(unified(&old, &new), expected);
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
    }

    #[test]
    fn very_different_long_texts_are_compared_in_time() {
        let text = |prefix: &str| (0..3000).map(|n| format!("{prefix}{n}\n")).collect::<String>();
        let difference = unified(&text("a"), &text("b"));
        assert_eq!(difference.lines().count(), 6001);
    }
}
