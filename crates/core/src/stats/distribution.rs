//! Offset, |offset| and delay of many samples in bounded space: moments that are exact, quantiles from sketches.

use super::moments::Moments;
use super::sketch::Sketch;
use super::trend::Point;

/// Samples of one way of timestamping, merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Distribution {
    pub moments: ThreeMoments,
    pub offsets: Sketch,
    pub delays: Sketch,
}

/// The moments, which are exact for any number of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ThreeMoments {
    pub offset: Moments,
    pub magnitude: Moments,
    pub delay: Moments,
}

impl Distribution {
    pub fn add(&mut self, point: &Point) {
        self.moments.offset.add(point.offset_s);
        self.moments.magnitude.add(point.offset_s.abs());
        self.moments.delay.add(point.delay_s);
        self.offsets.add(point.offset_s);
        self.delays.add(point.delay_s);
    }

    pub fn merge(&mut self, other: &Self) {
        self.moments.offset.merge(&other.moments.offset);
        self.moments.magnitude.merge(&other.moments.magnitude);
        self.moments.delay.merge(&other.moments.delay);
        self.offsets.merge(&other.offsets);
        self.delays.merge(&other.delays);
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<ThreeMoments>() + self.offsets.memory_bytes() + self.delays.memory_bytes()
    }
}

/// A distribution that no longer grows, with its sketches in compact form: about a quarter of the space.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    moments: ThreeMoments,
    offsets: Box<[u8]>,
    delays: Box<[u8]>,
}

impl Sealed {
    pub fn new(open: &Distribution) -> Self {
        let bytes = |sketch: &Sketch| sketch.to_bytes().into_boxed_slice();
        Self { moments: open.moments, offsets: bytes(&open.offsets), delays: bytes(&open.delays) }
    }

    pub fn open(&self) -> Distribution {
        let sketch = |bytes: &[u8]| Sketch::from_bytes(bytes).expect("the bytes were made by to_bytes in new");
        Distribution { moments: self.moments, offsets: sketch(&self.offsets), delays: sketch(&self.delays) }
    }

    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.offsets.len() + self.delays.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_saves_half_of_the_space_and_loses_nothing() {
        let mut open = Distribution::default();
        for i in 0..500 {
            let offset_s = 1e-3 * f64::from(i * 7919 % 1000 - 500) / 500.0;
            open.add(&Point { at_s: f64::from(i), offset_s, delay_s: 0.02 + offset_s.abs() });
        }
        let sealed = Sealed::new(&open);
        assert!(sealed.memory_bytes() * 2 < open.memory_bytes(), "{} {}", sealed.memory_bytes(), open.memory_bytes());
        let again = sealed.open();
        assert_eq!((again.moments, again.offsets, again.delays), (open.moments, open.offsets, open.delays));
    }
}
