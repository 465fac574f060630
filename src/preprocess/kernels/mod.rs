//! The fast kernels: whole-number arithmetic, rows first and then columns.
//!
//! For each line of the image:
//!
//! 1. **Vertical**: each kind of sample of the rows that the line is made of is fetched, sixteen at once, set to
//!    sixteen bits, weighted and added up: a row buffer of 15-bit numbers, one for each sample.
//! 2. **Horizontal**: the elements of the row buffer that an output pixel is made of are weighted and added up in
//!    32 bits, eight output pixels at once.
//! 3. **Colour**: the sums are converted to colours, clamped to the gamut, and stored.
//!
//! Every format is fetched the same way: a table made at arming says which byte of which 16-byte window
//! becomes which sample (`fetch`). The sums are whole numbers, the same on every machine.
//!
//! Most images need no row buffer: **direct**, what two columns and two rows bring is picked straight from the frame
//! (`windows`), and the sums are the same.
//!
//! The files here say what is planned; `portable`, `neon` and `avx2` do it.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod fetch;
mod gains;
mod horizontal;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod output_line;
mod portable;
mod run;
mod scratch;
mod sizes;
mod tables;
mod tiles;
mod transposed;
mod vertical;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod windows;

pub use kernel::Kernel;
pub(super) use run::Kernels;
