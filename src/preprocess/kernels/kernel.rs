//! The kernels by name.

/// The code that runs a plan. The fast kernels add the same whole numbers and differ from each other in the
/// last bits of the colours. All are less than a tenth of a step of 1/255 from the scalar one; of `area` less than a
/// whole one, where 64 rows of one colour are made one.
///
/// A direct kernel makes the image straight from the frame: of samples of one byte, at most two rows and two columns
/// an output pixel, not enlarged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain Rust in double precision, on every machine: slow, and what the others are held against.
    Scalar,
    /// Plain Rust in whole numbers, on every machine.
    Portable,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same, direct: in a row of at least sixteen bytes.
    Avx2Direct,
    /// 64-bit ARM.
    Neon,
    /// The same, direct: also of samples of a word that has at most fifteen bits; in a row of at least 64 bytes.
    NeonDirect,
}

impl Kernel {
    /// Every kernel, the fastest first.
    pub const ALL: [Self; 6] = [
        Self::Avx2Direct,
        Self::Avx2,
        Self::NeonDirect,
        Self::Neon,
        Self::Portable,
        Self::Scalar,
    ];

    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx2Direct => "avx2-direct",
            Self::Neon => "neon",
            Self::NeonDirect => "neon-direct",
        }
    }
}
