//! What runs in the guest: one module for each kind of camera that `tests/capture/guest.sh` makes, by its name.

mod bars;
mod camera;
mod cropped;
mod denied;
mod dma_contig;
mod multi_planar;
mod not_capture;
mod plain;
mod running;
mod watch;
