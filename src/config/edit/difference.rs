//! What changed between two texts, as `diff -u` writes it.

use std::fmt::Write as _;

/// Lines of context around a change.
const CONTEXT: usize = 3;
/// Beyond this many pairs of lines between the first and the last change, all of them count as replaced: the table of the
/// longest common subsequence would be too large.
const MOST_PAIRS: usize = 4_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// How many lines each text has.
struct Counts {
    old: usize,
    new: usize,
}

impl Counts {
    fn of(lines: &[Line<'_>]) -> Self {
        let (added, removed) = lines.iter().fold((0, 0), |(added, removed), line| match line {
            Line::Same(_) => (added, removed),
            Line::Old(_) => (added, removed + 1),
            Line::New(_) => (added + 1, removed),
        });
        Self { old: lines.len() - added, new: lines.len() - removed }
    }
}

/// The difference of two texts in the unified format, without the names of files; empty when there is none.
#[must_use]
pub fn unified(old: &str, new: &str) -> String {
    let lines = align(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let is_change = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let changes: Vec<usize> = lines.iter().enumerate().filter(|(_, line)| is_change(line)).map(|(n, _)| n).collect();
    let mut text = String::new();
    let mut from = 0;
    while from < changes.len() {
        let near = |n: &usize| changes[*n] - changes[*n - 1] <= 2 * CONTEXT;
        let to = (from + 1..changes.len()).take_while(near).last().unwrap_or(from);
        let begin = changes[from].saturating_sub(CONTEXT);
        let end = (changes[to] + CONTEXT + 1).min(lines.len());
        hunk(&mut text, &lines, begin, end);
        from = to + 1;
    }
    text
}

fn hunk(text: &mut String, lines: &[Line<'_>], begin: usize, end: usize) {
    let (before, within) = (Counts::of(&lines[..begin]), Counts::of(&lines[begin..end]));
    // A range of no lines is named after the line before it.
    let range = |before: usize, within: usize| format!("{},{within}", before + usize::from(within > 0));
    let (old, new) = (range(before.old, within.old), range(before.new, within.new));
    let _ = writeln!(text, "@@ -{old} +{new} @@");
    for line in &lines[begin..end] {
        let _ = match line {
            Line::Same(line) => writeln!(text, " {line}"),
            Line::Old(line) => writeln!(text, "-{line}"),
            Line::New(line) => writeln!(text, "+{line}"),
        };
    }
}

/// Both texts as one, by a longest common subsequence of what is between the first and the last difference.
fn align<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let mut lines: Vec<Line<'a>> = old[..head].iter().map(|line| Line::Same(line)).collect();
    middle(&mut lines, old_middle, new_middle);
    lines.extend(old_rest[old_rest.len() - tail..].iter().map(|line| Line::Same(line)));
    lines
}

fn middle<'a>(lines: &mut Vec<Line<'a>>, old: &[&'a str], new: &[&'a str]) {
    let width = new.len() + 1;
    let mut longest = Vec::new();
    if old.len().saturating_mul(new.len()) <= MOST_PAIRS {
        // longest[i][j]: of old[i..] and new[j..].
        longest = vec![0_u32; (old.len() + 1) * width];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                let (down, right) = (longest[(i + 1) * width + j], longest[i * width + j + 1]);
                let both = longest[(i + 1) * width + j + 1] + 1;
                longest[i * width + j] = if old[i] == new[j] { both } else { down.max(right) };
            }
        }
    }
    let at = |i: usize, j: usize| longest.get(i * width + j).copied().unwrap_or(0);
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() && !longest.is_empty() {
        if old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if at(i + 1, j) >= at(i, j + 1) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines.extend(old[i..].iter().map(|line| Line::Old(line)));
    lines.extend(new[j..].iter().map(|line| Line::New(line)));
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
    fn changes_far_from_each_other_are_apart_and_insertions_have_their_place() {
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replacen("1\n", "0\n1\n", 1) + "21\n";
        let expected = "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -18,3 +19,4 @@\n 18\n 19\n 20\n+21\n";
        assert_eq!(unified(&old, &new), expected);
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1,1 @@\n+a\n");
    }

    #[test]
    fn very_different_long_texts_cost_no_more_than_they_are_long() {
        let text = |prefix: &str| (0..3000).map(|n| format!("{prefix}{n}\n")).collect::<String>();
        let difference = unified(&text("a"), &text("b"));
        assert_eq!(difference.lines().count(), 6001);
    }
}
