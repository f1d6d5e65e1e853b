//! Single polls, oldest first: the newest unpacked, all others in packed blocks.

use std::collections::VecDeque;

use super::packed::Block;
use super::pane::Record;

/// Polls of a full block.
const BLOCK: usize = 64;
/// Polls are packed once there are so many, because an unpacked one takes five times the memory. They are added to the
/// last block until it is full.
const PACKED: usize = 8;

/// Polls that are kept one by one.
#[derive(Debug, Default)]
pub(super) struct Polls {
    blocks: VecDeque<Block>,
    /// Polls of the first block that were removed.
    gone: usize,
    newest: Vec<Record>,
    len: usize,
    front_ns: Option<i64>,
}

impl Polls {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The time of the oldest poll.
    pub fn front_ns(&self) -> Option<i64> {
        self.front_ns
    }

    /// Adds a poll, which is not older than the last one.
    pub fn push(&mut self, record: &Record) {
        if self.newest.len() == PACKED {
            self.pack();
        }
        if self.newest.len() == self.newest.capacity() {
            self.newest.reserve_exact(PACKED);
        }
        self.newest.push(*record);
        self.len += 1;
        self.front_ns.get_or_insert(record.at_ns);
    }

    /// Adds the newest polls to the last block, or to a new one if that is full.
    fn pack(&mut self) {
        match self.blocks.back_mut().filter(|last| last.len() + PACKED <= BLOCK) {
            Some(last) => *last = Block::of(&last.polls().chain(self.newest.iter().copied()).collect::<Vec<_>>()),
            None => {
                if self.blocks.len() == self.blocks.capacity() {
                    self.blocks.reserve_exact(1);
                }
                self.blocks.push_back(Block::of(&self.newest));
            }
        }
        self.newest.clear();
    }

    pub fn pop_front(&mut self) -> Option<Record> {
        let (first, next_ns) = {
            let mut all = self.all();
            (all.next()?, all.next().map(|next| next.at_ns))
        };
        self.front_ns = next_ns;
        self.len -= 1;
        match self.blocks.front() {
            None => {
                self.newest.remove(0);
            }
            Some(block) if self.gone + 1 == block.len() => {
                self.blocks.pop_front();
                self.gone = 0;
            }
            Some(_) => self.gone += 1,
        }
        Some(first)
    }

    /// The polls from `start_ns` on.
    pub fn since(&self, start_ns: i64) -> impl Iterator<Item = Record> {
        self.all().skip_while(move |poll| poll.at_ns < start_ns)
    }

    /// The newest polls, at most `count`, oldest first. Blocks before them are not unpacked.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = Record> {
        let mut skipped = self.gone + self.len.saturating_sub(count);
        let packed = self.blocks.iter().flat_map(move |block| {
            let begin = skipped.min(block.len());
            skipped -= begin;
            block.polls_from(begin)
        });
        let unpacked = count.min(self.newest.len());
        packed.chain(self.newest[self.newest.len() - unpacked..].iter().copied())
    }

    fn all(&self) -> impl Iterator<Item = Record> {
        self.blocks.iter().flat_map(Block::polls).skip(self.gone).chain(self.newest.iter().copied())
    }

    pub fn memory_bytes(&self) -> usize {
        let packed: usize = self.blocks.iter().map(Block::memory_bytes).sum();
        packed + self.blocks.capacity() * size_of::<Block>() + self.newest.capacity() * size_of::<Record>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Timestamping;
    use crate::stats::loss::Ending;
    use crate::stats::testing::sample;

    fn record(k: i64) -> Record {
        let ending = Ending::of(&sample(0.0, 0.0, 0.01));
        Record { at_ns: k * 16_001_000_000, offset_s: k as f64, delay_s: 0.01, ending, way: Some(Timestamping::Kernel) }
    }

    #[test]
    fn polls_come_back_in_order_as_they_are_added_and_removed() {
        let mut polls = Polls::default();
        for k in 0..300 {
            polls.push(&record(k));
            if k >= 100 {
                assert_eq!(polls.pop_front().unwrap().at_ns, record(k - 100).at_ns);
            }
        }
        assert_eq!((polls.len(), polls.front_ns()), (100, Some(record(200).at_ns)));
        let since: Vec<_> = polls.since(record(297).at_ns).map(|poll| (poll.at_ns, poll.offset_s)).collect();
        assert_eq!(since, [297, 298, 299].map(|k| (record(k).at_ns, k as f64)));
        for count in [0, 3, 30, 90, 200] {
            let newest: Vec<_> = polls.newest(count).map(|poll| poll.at_ns).collect();
            let expected: Vec<_> = (0..300).map(|k| record(k).at_ns).skip(300 - count.min(100)).collect();
            assert_eq!(newest, expected);
        }
        while polls.pop_front().is_some() {}
        assert_eq!((polls.len(), polls.front_ns(), polls.since(i64::MIN).count()), (0, None, 0));
    }

    #[test]
    fn polls_of_an_hour_at_16_s_take_two_kilobytes() {
        let mut polls = Polls::default();
        (0..226).for_each(|k| polls.push(&Record { offset_s: (k * 37 % 100) as f64 * 4e-6, ..record(k) }));
        assert!(polls.memory_bytes() < 2100, "{}", polls.memory_bytes());
    }
}
