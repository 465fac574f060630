//! Pictures of one grey, made without an encoder: for finding what decoding a camera's pictures takes.

use super::stream::Sampling;

/// Bits, most significant first, with a zero byte after each byte of ones.
struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        self.held = self.held << count | bits;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let [.., byte] = (self.held >> self.count).to_be_bytes();
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
        self.held &= (1 << self.count) - 1;
    }
}

/// A picture of middle grey, as a camera sends it that leaves the Huffman tables out. Decoding it takes as
/// much memory as decoding any other of its size and sampling.
#[must_use]
pub fn flat(width_px: u16, height_px: u16, sampling: Sampling) -> Vec<u8> {
    let grey = sampling == Sampling::Grey;
    let factors = sampling.factors();
    let components: u8 = if grey { 1 } else { 3 };
    let mut out = vec![0xff, 0xd8];
    // One quantisation table: all steps 1.
    out.extend([0xff, 0xdb, 0, 67, 0]);
    out.extend([1; 64]);
    out.extend([0xff, 0xc0, 0, 8 + 3 * components, 8]);
    out.extend(height_px.to_be_bytes());
    out.extend(width_px.to_be_bytes());
    out.extend([components, 1, factors, 0]);
    if !grey {
        out.extend([2, 0x11, 0, 3, 0x11, 0]);
    }
    out.extend([0xff, 0xda, 0, 6 + 2 * components, components, 1, 0x00]);
    if !grey {
        out.extend([2, 0x11, 3, 0x11]);
    }
    out.extend([0, 63, 0]);
    // A block without differences from the one before: of luma 00 and 1010 (end of block), of the two
    // differences 00 and 00.
    let (across, down) = (factors >> 4, factors & 15);
    let units = |px: u16, factor: u8| u32::from(px).div_ceil(8 * u32::from(factor));
    let mut bits = Bits {
        out,
        held: 0,
        count: 0,
    };
    for _ in 0..units(width_px, across) * units(height_px, down) {
        for _ in 0..across * down {
            bits.put(0b00_1010, 6);
        }
        if !grey {
            bits.put(0, 8);
        }
    }
    if bits.count > 0 {
        let missing = 8 - bits.count;
        bits.put((1 << missing) - 1, missing);
    }
    bits.out.extend([0xff, 0xd9]);
    bits.out
}
