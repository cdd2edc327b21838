//! Plain batches four frames at a time, on processors that have AVX2.
//!
//! Frames and descriptors are five words each, so four of them are five registers. Length and time stand at the same place in both, so
//! that a descriptor is its slot's with these two blended in.

use vnet_abi::DESC_SIZE;

use crate::frames::Frame;
use crate::plain::{Plain, Seen};

/// Does what [`Plain::show`] does for as many frames as make whole groups of four; returns what they are and how many.
#[inline(always)]
pub(crate) fn show(plain: &Plain, frames: &[Frame], ring: &mut [[u8; DESC_SIZE]]) -> (Seen, usize) {
    #[cfg(target_arch = "x86_64")]
    if frames.len() >= x86::FRAMES && std::is_x86_feature_detected!("avx2") {
        let (frames, ring) = (frames.as_chunks().0, ring.as_chunks_mut().0);
        // SAFETY: the processor has AVX2.
        return unsafe { x86::show(plain, frames, ring) };
    }
    let _ = (plain, frames, ring);
    (Seen::NOTHING, 0)
}

/// Does what [`Plain::pass`] does for as many frames as make whole groups of four.
#[inline(always)]
pub(crate) fn pass(
    plain: &Plain,
    frames: &mut [Frame],
    ring: &[[u8; DESC_SIZE]],
    from: usize,
    passes: u8,
) -> usize {
    #[cfg(target_arch = "x86_64")]
    if frames.len() >= x86::FRAMES && std::is_x86_feature_detected!("avx2") {
        let (frames, ring) = (frames.as_chunks_mut().0, ring.as_chunks().0);
        // SAFETY: the processor has AVX2.
        return unsafe { x86::pass(plain, frames, ring, from, passes) };
    }
    let _ = (plain, frames, ring, from, passes);
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use vnet_abi::{DESC_SIZE, verdict};

    use crate::frames::{Fate, Frame};
    use crate::plain::{Plain, Seen};

    /// Frames that are taken at once.
    pub(super) const FRAMES: usize = 4;

    /// Four descriptors.
    type Group = [[u8; DESC_SIZE]; FRAMES];

    #[target_feature(enable = "avx2")]
    pub(super) fn show(plain: &Plain, frames: &[[Frame; FRAMES]], ring: &mut [Group]) -> (Seen, usize) {
        let mut slots = Slots::new(plain, 0, verdict::UNSET);
        let to_least = _mm256_set1_epi64x(plain.least().wrapping_sub(plain.first).cast_signed());
        let most = _mm256_set1_epi64x(plain.most().cast_signed());
        let none = _mm256_setzero_si256();
        let (mut above, mut beyond, mut lengths) = (none, none, none);
        let (mut some, mut all, mut marks) = (none, _mm256_set1_epi64x(-1), none);
        for (frames, ring) in frames.iter().zip(&mut *ring) {
            let f = read(frames);
            // The first words of the four frames, their second ones, and their third ones.
            let place = four(f[0], f[1], f[2], f[3]);
            let told = four(f[4], f[0], f[1], f[2]);
            let mark = four(f[3], f[4], f[0], f[1]);
            let more = _mm256_sub_epi64(place, _mm256_add_epi64(slots.offs, to_least));
            above = _mm256_or_si256(above, more);
            beyond = _mm256_or_si256(beyond, _mm256_sub_epi64(most, more));
            lengths = _mm256_add_epi64(lengths, more);
            some = _mm256_or_si256(some, told);
            all = _mm256_and_si256(all, told);
            marks = _mm256_or_si256(marks, mark);
            let to = ring.as_mut_ptr().cast::<__m256i>();
            for (k, register) in slots.describe(f).into_iter().enumerate() {
                // SAFETY: four descriptors are five registers long.
                unsafe { _mm256_storeu_si256(to.add(k), register) };
            }
            slots.advance();
        }
        let seen = Seen {
            above: joined(above, |a, b| a | b),
            beyond: joined(beyond, |a, b| a | b),
            lengths: joined(lengths, u64::wrapping_add),
            some: joined(some, |a, b| a | b),
            all: joined(all, |a, b| a & b),
            marks: joined(marks, |a, b| a | b),
        };
        (seen, frames.len() * FRAMES)
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn pass(
        plain: &Plain,
        frames: &mut [[Frame; FRAMES]],
        ring: &[Group],
        from: usize,
        passes: u8,
    ) -> usize {
        let mut slots = Slots::new(plain, from, passes);
        let mut passed = 0;
        for (frames, ring) in frames.iter_mut().zip(ring) {
            let changed = changed(slots.describe(read(frames)), ring);
            if !is_zero(changed) {
                break;
            }
            for frame in frames {
                frame.fate = Fate::Pass;
            }
            slots.advance();
            passed += FRAMES;
        }
        passed
    }

    /// Returns the bits in which four descriptors in the ring differ from `d`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn changed(d: [__m256i; 5], ring: &Group) -> [__m256i; 5] {
        let r = ring.as_ptr().cast::<__m256i>();
        // SAFETY: four descriptors are five registers long.
        unsafe {
            [
                _mm256_xor_si256(d[0], _mm256_loadu_si256(r)),
                _mm256_xor_si256(d[1], _mm256_loadu_si256(r.add(1))),
                _mm256_xor_si256(d[2], _mm256_loadu_si256(r.add(2))),
                _mm256_xor_si256(d[3], _mm256_loadu_si256(r.add(3))),
                _mm256_xor_si256(d[4], _mm256_loadu_si256(r.add(4))),
            ]
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn is_zero(bits: [__m256i; 5]) -> bool {
        let [a, b, c, d, e] = bits;
        let any = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(_mm256_or_si256(c, d), e));
        _mm256_testz_si256(any, any) != 0
    }

    /// The descriptors of four slots in a row, without lengths and times.
    struct Slots {
        words: [__m256i; 5],
        /// Addresses of the four frames, each in the lane in which one of the first four registers has it.
        offs: __m256i,
        step: __m256i,
    }

    impl Slots {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn new(plain: &Plain, from: usize, verdict: u8) -> Slots {
            let [_, state, port, ..] = plain.words(0, verdict).map(u64::cast_signed);
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| plain.words(from + i, verdict)[0].cast_signed());
            Slots {
                words: [
                    _mm256_setr_epi64x(0, state, port, 0),
                    _mm256_setr_epi64x(0, 0, state, port),
                    _mm256_setr_epi64x(0, 0, 0, state),
                    _mm256_setr_epi64x(port, 0, 0, 0),
                    _mm256_setr_epi64x(state, port, 0, 0),
                ],
                offs: _mm256_setr_epi64x(a, b, c, d),
                step: _mm256_set1_epi64x((FRAMES as u64).wrapping_mul(plain.slot).cast_signed()),
            }
        }

        #[target_feature(enable = "avx2")]
        #[inline]
        fn advance(&mut self) {
            self.offs = _mm256_add_epi64(self.offs, self.step);
        }

        /// Returns the descriptors of four frames in these slots.
        #[target_feature(enable = "avx2")]
        #[inline]
        fn describe(&self, f: [__m256i; 5]) -> [__m256i; 5] {
            let (w, offs) = (&self.words, self.offs);
            [
                _mm256_blend_epi32::<0b0000_0010>(_mm256_blend_epi32::<0b0000_0011>(w[0], offs), f[0]),
                _mm256_blend_epi32::<0b0000_1011>(_mm256_blend_epi32::<0b0000_1100>(w[1], offs), f[1]),
                _mm256_blend_epi32::<0b0010_1100>(_mm256_blend_epi32::<0b0011_0000>(w[2], offs), f[2]),
                _mm256_blend_epi32::<0b1011_0000>(_mm256_blend_epi32::<0b1100_0000>(w[3], offs), f[3]),
                _mm256_blend_epi32::<0b1100_0000>(w[4], f[4]),
            ]
        }
    }

    /// Reads four frames.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn read(frames: &[Frame; FRAMES]) -> [__m256i; 5] {
        /// Reads in assembly, as some bytes of a frame's fourth word need not mean anything to Rust.
        #[target_feature(enable = "avx2")]
        #[inline]
        fn at<const AT: usize>(frames: &[Frame; FRAMES]) -> __m256i {
            const { assert!(AT + size_of::<__m256i>() <= size_of::<[Frame; FRAMES]>()) }
            let register;
            // SAFETY: the 32 bytes lie within the frames; they are read and nothing else.
            unsafe {
                asm!(
                    "vmovdqu {register}, ymmword ptr [{frames} + {at}]",
                    register = lateout(ymm_reg) register,
                    frames = in(reg) frames,
                    at = const AT,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            register
        }
        [
            at::<0>(frames),
            at::<32>(frames),
            at::<64>(frames),
            at::<96>(frames),
            at::<128>(frames),
        ]
    }

    /// Returns the first words of `a`, the second of `b`, the third of `c`, the fourth of `d`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn four(a: __m256i, b: __m256i, c: __m256i, d: __m256i) -> __m256i {
        let (low, high) = (
            _mm256_blend_epi32::<0b0000_1100>(a, b),
            _mm256_blend_epi32::<0b1100_0000>(c, d),
        );
        _mm256_blend_epi32::<0b1111_0000>(low, high)
    }

    /// Joins the four words of a register.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn joined(register: __m256i, join: impl Fn(u64, u64) -> u64) -> u64 {
        let (low, high) = (
            _mm256_castsi256_si128(register),
            _mm256_extracti128_si256::<1>(register),
        );
        let [a, b] = [_mm_cvtsi128_si64(low), _mm_cvtsi128_si64(high)];
        let [c, d] = [_mm_extract_epi64::<1>(low), _mm_extract_epi64::<1>(high)];
        join(
            join(a.cast_unsigned(), b.cast_unsigned()),
            join(c.cast_unsigned(), d.cast_unsigned()),
        )
    }
}
