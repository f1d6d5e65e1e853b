//! Changes texts by their words instead of their bytes, so that most results are nearly valid input: libFuzzer's own
//! mutations of a configuration or an expression hardly ever pass the first line of a parser.

/// Changes the text of `size` bytes at the start of `data` and returns its new size, `max` at most. Half of the changes are
/// libFuzzer's own; the others insert, repeat, move, remove or nest words, or replace one by a fragment of the language.
pub fn words(fragments: &[&str], data: &mut [u8], size: usize, max: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    let text = match std::str::from_utf8(&data[..size]) {
        Ok(text) if dice.below(2) == 0 => text,
        _ => return libfuzzer_sys::fuzzer_mutate(data, size, max),
    };
    let mut words = split(text);
    for _ in 0..=dice.below(3) {
        change(&mut words, fragments, &mut dice);
    }
    let changed = words.concat();
    let length = changed.floor_char_boundary(max.min(data.len()));
    data[..length].copy_from_slice(&changed.as_bytes()[..length]);
    length
}

fn change(words: &mut Vec<String>, fragments: &[&str], dice: &mut Dice) {
    let fragment = fragments[dice.below(fragments.len())].to_owned();
    let from = dice.below(words.len() + 1);
    let to = (from + 1 + dice.below(12)).min(words.len());
    match dice.below(6) {
        0 => words.insert(from, fragment),
        1 if from < words.len() => words[from] = fragment,
        2 => drop(words.drain(from..to)),
        3 => {
            let copy = words[from..to].to_vec();
            for _ in 0..=dice.below(8) * dice.below(8) {
                words.splice(to..to, copy.iter().cloned());
            }
        }
        4 => {
            let part: Vec<String> = words.drain(from..to).collect();
            let place = dice.below(words.len() + 1);
            words.splice(place..place, part);
        }
        // The same fragment around and around.
        _ => words.insert(from, fragment.repeat(1 + dice.below(64))),
    }
}

/// Runs of letters and digits, runs of blanks, and every other character for itself.
fn split(text: &str) -> Vec<String> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 1,
        ' ' => 2,
        _ => 0,
    };
    let mut words: Vec<String> = Vec::new();
    let mut last = 0;
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if kind(c) != 0 && kind(c) == last => word.push(c),
            _ => words.push(c.to_string()),
        }
        last = kind(c);
    }
    words
}

/// Xorshift: the changes must depend on the seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
