//! Rows of integers, packed into as few bits as the range of each column needs.

/// At most 255 rows of `N` numbers. The first is a time, kept as its difference from a line through all times. Everything
/// is in one allocation: a head, then the bits of all rows.
#[derive(Debug, PartialEq)]
pub(super) struct Rows<const N: usize>(Box<[u8]>);

/// What rows share: a number is the sum of the least one of its column and of as many bits as the width says.
struct Head<const N: usize> {
    count: u8,
    widths: [u8; N],
    step: i64,
    leasts: [i64; N],
}

impl<const N: usize> Rows<N> {
    pub fn of(rows: &[[i64; N]]) -> Self {
        let step = match rows {
            [first, .., last] => last[0].wrapping_sub(first[0]) / (rows.len() - 1) as i64,
            _ => 0,
        };
        let near = |(i, mut row): (usize, [i64; N])| {
            row[0] = row[0].wrapping_sub(step.wrapping_mul(i as i64));
            row
        };
        let rows: Vec<_> = rows.iter().copied().enumerate().map(near).collect();
        let leasts = std::array::from_fn(|k| rows.iter().map(|row| row[k]).min().unwrap_or(0));
        let spans: [u64; N] = std::array::from_fn(|k| {
            let most = rows.iter().map(|row| row[k]).max().unwrap_or(0);
            most.wrapping_sub(leasts[k]).cast_unsigned()
        });
        let widths = spans.map(|span| (u64::BITS - span.leading_zeros()) as u8);
        let head = Head { count: u8::try_from(rows.len()).unwrap_or(u8::MAX), widths, step, leasts };
        let mut bytes = head.written();
        bytes.reserve_exact((rows.len() * head.row_bits()).div_ceil(8));
        let mut bits = Bits { count: 8 * bytes.len(), bytes };
        for row in &rows {
            for ((value, least), width) in row.iter().zip(leasts).zip(widths) {
                bits.push(value.wrapping_sub(least).cast_unsigned(), width);
            }
        }
        Self(bits.bytes.into())
    }

    pub fn len(&self) -> usize {
        self.0.first().copied().unwrap_or_default().into()
    }

    /// The rows from the one at `begin` on.
    pub fn rows_from(&self, begin: usize) -> impl DoubleEndedIterator<Item = [i64; N]> {
        let (head, bits) = Head::read(&self.0);
        (begin..self.len()).map(move |i| head.row(bits, i))
    }

    /// The size of its allocation in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

impl<const N: usize> Head<N> {
    fn row_bits(&self) -> usize {
        self.widths.iter().map(|width| usize::from(*width)).sum()
    }

    fn row(&self, bits: &[u8], i: usize) -> [i64; N] {
        let mut begin = i * self.row_bits();
        let mut row = std::array::from_fn(|k| {
            let width = usize::from(self.widths[k]);
            let above = read(bits, begin, width);
            begin += width;
            self.leasts[k].wrapping_add(above.cast_signed())
        });
        row[0] = row[0].wrapping_add(self.step.wrapping_mul(i as i64));
        row
    }

    /// The number of rows, the widths, and the other numbers, each with the number of its octets.
    fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + 2 * N);
        bytes.push(self.count);
        bytes.extend(self.widths);
        for number in std::iter::once(&self.step).chain(&self.leasts) {
            let octets = number.to_le_bytes();
            // The sign is that of the last octet.
            let needed = (1..8).find(|kept| signed(&octets[..*kept]) == *number).unwrap_or(8);
            bytes.push(needed as u8);
            bytes.extend(&octets[..needed]);
        }
        bytes
    }

    /// The head, and the bits after it.
    fn read(bytes: &[u8]) -> (Self, &[u8]) {
        let mut rest = bytes;
        let mut octets = |count: usize| {
            let (octets, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            octets
        };
        let count = octets(1).first().copied().unwrap_or_default();
        let widths = octets(N).try_into().unwrap_or([0; N]);
        let mut number = || {
            let needed = octets(1).first().copied().unwrap_or_default();
            signed(octets(needed.into()))
        };
        let (step, leasts) = (number(), std::array::from_fn(|_| number()));
        (Self { count, widths, step, leasts }, rest)
    }
}

/// The signed number in the least octets that hold it, the lowest first.
fn signed(octets: &[u8]) -> i64 {
    let is_negative = octets.last().is_some_and(|last| last & 0x80 != 0);
    let mut whole = [if is_negative { 0xff } else { 0 }; 8];
    whole[..octets.len()].copy_from_slice(octets);
    i64::from_le_bytes(whole)
}

/// Numbers one after another, the lowest bit first.
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// Appends the lowest `width` bits of `value`, which has no others.
    fn push(&mut self, value: u64, width: u8) {
        let (first, shifted) = (self.count / 8, u128::from(value) << (self.count % 8));
        self.count += usize::from(width);
        self.bytes.resize(self.count.div_ceil(8), 0);
        for (octet, part) in self.bytes.iter_mut().skip(first).zip(shifted.to_le_bytes()) {
            *octet |= part;
        }
    }
}

/// The number of `width` bits that begins at a bit.
fn read(bytes: &[u8], begin: usize, width: usize) -> u64 {
    let (first, shift) = (begin / 8, begin % 8);
    let window = bytes.get(first..).unwrap_or_default();
    let window = window.first_chunk().copied().unwrap_or_else(|| {
        let mut last = [0; 16];
        last[..window.len()].copy_from_slice(window);
        last
    });
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    (u128::from_le_bytes(window) >> shift) as u64 & mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evenly_spaced_times_take_no_space() {
        let rows: Vec<_> = (0..64).map(|k| [1_000 + k * 16_000, 7, k % 4]).collect();
        let packed = Rows::of(&rows);
        let head = Head::<3>::read(&packed.0).0.written().len();
        assert_eq!((packed.memory_bytes(), head, packed.len()), (head + 16, 14, 64));
        assert!(packed.rows_from(0).eq(rows));
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in prop::collection::vec((any::<i64>(), any::<i64>(), -9..9_i64), 0..70)) {
            let rows: Vec<_> = rows.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let packed = Rows::of(&rows);
            prop_assert!(packed.rows_from(0).eq(rows.iter().copied()));
        }
    }
}
