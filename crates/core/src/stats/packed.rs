//! Rows of integers, packed into as few bits as the range of each column needs.

/// At most 255 rows of `N` numbers. The first is a time, kept as its difference from a line through all times.
#[derive(Debug)]
pub(super) struct Rows<const N: usize> {
    count: u8,
    widths: [u8; N],
    step: i64,
    leasts: [i64; N],
    bits: Box<[u8]>,
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
        let all = rows.len() * widths.iter().map(|width| usize::from(*width)).sum::<usize>();
        let mut bits = Bits { bytes: Vec::with_capacity(all.div_ceil(8)), count: 0 };
        for row in &rows {
            for ((value, least), width) in row.iter().zip(leasts).zip(widths) {
                bits.push(value.wrapping_sub(least).cast_unsigned(), width);
            }
        }
        Self { count: u8::try_from(rows.len()).unwrap_or(u8::MAX), widths, step, leasts, bits: bits.bytes.into() }
    }

    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// The row at a place, which must be below [`Rows::len`].
    pub fn row(&self, i: usize) -> [i64; N] {
        let mut begin = i * self.widths.iter().map(|width| usize::from(*width)).sum::<usize>();
        let mut row = std::array::from_fn(|k| {
            let width = usize::from(self.widths[k]);
            let above = read(&self.bits, begin, width);
            begin += width;
            self.leasts[k].wrapping_add(above.cast_signed())
        });
        row[0] = row[0].wrapping_add(self.step.wrapping_mul(i as i64));
        row
    }

    /// The size of its allocation in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bits.len()
    }
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
        assert_eq!((packed.memory_bytes(), packed.len()), (16, 64));
        assert!((0..packed.len()).map(|i| packed.row(i)).eq(rows));
    }

    proptest! {
        #[test]
        fn any_rows_come_back(rows in prop::collection::vec((any::<i64>(), any::<i64>(), -9..9_i64), 0..70)) {
            let rows: Vec<_> = rows.into_iter().map(|(a, b, c)| [a, b, c]).collect();
            let packed = Rows::of(&rows);
            prop_assert!((0..packed.len()).map(|i| packed.row(i)).eq(rows.iter().copied()));
        }
    }
}
