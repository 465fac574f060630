//! A fixed piece of memory that serves one thread's malloc in constant time: two-level segregated fit.
//!
//! One thread at a time owns an arena and is the only one that touches its lists. Blocks may be freed
//! by any thread: those of others are pushed on a stack that the owner empties, a few at each call.
//!
//! Answers for: alignment, sizes, that no block is handed out twice, and the high-water mark. Does not
//! answer for: counting calls (`heap`).
//!
//! # Source
//! M. Masmano and others, "TLSF: a New Dynamic Memory Allocator for Real-Time Systems" (ECRTS 2004),
//! as the `rlsf` crate has it.

use super::{MODE, mode, settings};
use crate::limits::MAX_THREADS;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sys::memory::Region;
use rlsf::Tlsf;
use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::AtomicPtr;

/// Alignment of every block that asks for none: `max_align_t`.
const ALIGN: usize = 16;
/// Alignment of valloc's blocks.
pub const PAGE_BYTES: usize = 4096;
/// The reserve is this part of an arena.
const RESERVE_PART: usize = 4;
/// Blocks freed elsewhere that the owner takes back at each call.
const TAKEN_BACK_AT_ONCE: usize = 4;
/// Smallest arena: its own lists and a few blocks.
const LEAST_BYTES: usize = 64 << 10;
/// Largest arena: sizes are kept in 32 bits.
const MOST_BYTES: usize = 1 << 30;
/// What `rlsf` puts before a block, and the unit that it rounds to.
const RLSF_HEADER: usize = size_of::<usize>() * 2;

/// 25 levels of 16 lists: blocks from 32 bytes to 1 GiB, at most 1/16 lost to rounding.
type Lists = Tlsf<'static, u32, u16, 25, 16>;

/// What lies before each block.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Header {
    /// Bytes that were asked for.
    size: u32,
    /// Bytes from the start of the underlying block to the user's.
    back: u32,
    /// Bytes that it takes from its pool, everything included.
    footprint: u32,
    /// `LIVE` or `FREED`.
    tag: u32,
}

const LIVE: u32 = 0x4c49_5645;
const FREED: u32 = 0x4652_4545;

/// A block on the stack of those freed elsewhere: lies where the user's bytes were.
struct Returned {
    next: *mut Returned,
}

/// Which part of an arena served a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The part that is meant to suffice.
    Main,
    /// The part that lets an invoke end when it did not.
    Reserve,
}

/// A fixed arena. Lives for ever once made: a block of it may be anywhere in the process.
#[derive(Debug)]
pub struct Arena {
    start: usize,
    /// First address of the reserve.
    reserve: usize,
    end: usize,
    owned: AtomicBool,
    /// Blocks that other threads freed, newest first.
    returned: AtomicPtr<c_void>,
    in_use_bytes: AtomicU64,
    high_water_bytes: AtomicU64,
    /// Touched by the owner only.
    pools: UnsafeCell<Pools>,
}

#[derive(Debug)]
struct Pools {
    main: Lists,
    reserve: Lists,
    /// Blocks taken from `returned` that are still to be freed.
    pending: *mut c_void,
}

// SAFETY: `pools` is touched by the owner only, and ownership passes by `acquire` and `release`, which
// order the accesses of one owner before those of the next; everything else is atomic or constant.
unsafe impl Sync for Arena {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Arena {}

/// An arena cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaError {
    /// The region is below 64 KiB or above 1 GiB.
    Size(usize),
    /// There are [`MAX_THREADS`] arenas.
    TooMany,
}

impl std::fmt::Display for ArenaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(bytes) => write!(
                f,
                "malloc arena: found {bytes} bytes, expected {LEAST_BYTES}..={MOST_BYTES}; set \
                 malloc-arena-kib in [memory]"
            ),
            Self::TooMany => write!(f, "more than {MAX_THREADS} malloc arenas"),
        }
    }
}

impl std::error::Error for ArenaError {}

/// How full an arena is and was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaReport {
    /// Bytes of the part that is meant to suffice.
    pub main_bytes: u64,
    /// Bytes of the reserve.
    pub reserve_bytes: u64,
    /// Bytes in use, headers and rounding included.
    pub in_use_bytes: u64,
    /// The most that was in use.
    pub high_water_bytes: u64,
}

/// Every arena there is; filled from the front, never emptied.
static ARENAS: [AtomicPtr<Arena>; MAX_THREADS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_THREADS];
/// Entries of `ARENAS` that are filled.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The arena that `pointer` lies in. Bounded by the number of arenas.
pub fn owner_of(pointer: *mut c_void) -> Option<&'static Arena> {
    // Whoever got a pointer of an arena knows, by way of whatever passed it, of the arena's entry.
    ARENAS[..COUNT.load(Ordering::Relaxed)]
        .iter()
        .find_map(|entry| {
            // SAFETY: an entry below `COUNT` was stored before the count and points to an arena that lives
            // for ever.
            let arena = unsafe { entry.load(Ordering::Relaxed).as_ref() }?;
            (arena.start..arena.end)
                .contains(&pointer.addr())
                .then_some(arena)
        })
}

/// How full every arena is, in the order in which they were made.
pub fn reports() -> impl Iterator<Item = ArenaReport> {
    // C1
    let count = COUNT.load(Ordering::Acquire);
    ARENAS[..count].iter().filter_map(|entry| {
        // SAFETY: as in `owner_of`, by the acquire above (C1).
        unsafe { entry.load(Ordering::Relaxed).as_ref() }.map(Arena::report)
    })
}

impl Arena {
    /// Makes an arena of `region`, which it keeps for ever. A quarter of it is the reserve.
    ///
    /// # Errors
    /// The region's size, or too many arenas.
    pub fn new(region: Region) -> Result<&'static Self, ArenaError> {
        let base = region.base();
        let len = region.len_bytes();
        if !(LEAST_BYTES..=MOST_BYTES).contains(&len) {
            return Err(ArenaError::Size(len));
        }
        let _settings = settings();
        let index = COUNT.load(Ordering::Relaxed);
        let entry = ARENAS.get(index).ok_or(ArenaError::TooMany)?;
        let start = base.addr().get();
        // Head, main part, reserve; everything on the bound, locked pages.
        let main_offset = size_of::<Self>().next_multiple_of(64);
        let reserve_offset = (len - len / RESERVE_PART) / 64 * 64;
        let pool = |from: usize, to: usize| {
            let address = base.map_addr(|address| address.saturating_add(from));
            NonNull::slice_from_raw_parts(address, to - from)
        };
        let mut pools = Pools {
            main: Lists::new(),
            reserve: Lists::new(),
            pending: std::ptr::null_mut(),
        };
        // SAFETY: the piece is inside the region, which is never unmapped and has no other user.
        unsafe {
            pools
                .main
                .insert_free_block_ptr(pool(main_offset, reserve_offset))
        };
        // SAFETY: as above, and the pieces do not overlap.
        unsafe {
            pools
                .reserve
                .insert_free_block_ptr(pool(reserve_offset, len))
        };
        let head: NonNull<Self> = base.cast();
        // SAFETY: the head is inside the region, before the first piece, and page-aligned.
        unsafe {
            head.write(Self {
                start,
                reserve: start + reserve_offset,
                end: start + len,
                owned: AtomicBool::new(false),
                returned: AtomicPtr::new(std::ptr::null_mut()),
                in_use_bytes: AtomicU64::new(0),
                high_water_bytes: AtomicU64::new(0),
                pools: UnsafeCell::new(pools),
            });
        }
        std::mem::forget(region);
        entry.store(head.as_ptr(), Ordering::Relaxed);
        // Publishes the entry (C1).
        COUNT.store(index + 1, Ordering::Release);
        MODE.fetch_or(mode::ARENAS, Ordering::Relaxed);
        // SAFETY: written above, never unmapped, and only shared from here on.
        Ok(unsafe { head.as_ref() })
    }

    /// How full it is and was.
    #[must_use]
    pub fn report(&self) -> ArenaReport {
        ArenaReport {
            main_bytes: (self.reserve - self.start) as u64,
            reserve_bytes: (self.end - self.reserve) as u64,
            in_use_bytes: self.in_use_bytes.load(Ordering::Relaxed),
            high_water_bytes: self.high_water_bytes.load(Ordering::Relaxed),
        }
    }

    /// Makes the calling thread the owner, if there is none.
    pub(super) fn acquire(&self) -> bool {
        // Pairs with the release in `release`: what the last owner did to the pools (O1).
        self.owned
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives ownership up.
    pub(super) fn release(&self) {
        // Pairs with the acquire in `acquire` (O1).
        self.owned.store(false, Ordering::Release);
    }

    /// A block of `size` bytes, aligned to `align` (0 or a power of two). `None` when neither part has
    /// room. Constant time.
    ///
    /// # Safety
    /// The calling thread is the owner.
    pub(super) unsafe fn allocate(&self, size: usize, align: usize) -> Option<(NonNull<u8>, Pool)> {
        // SAFETY: the owner is the only one that touches the pools, and this is the only reference:
        // nothing below calls back.
        let pools = unsafe { &mut *self.pools.get() };
        self.take_back(pools, TAKEN_BACK_AT_ONCE);
        let slack = if align > ALIGN { align } else { 0 };
        // At least the link of a returned block fits.
        let size = size.max(size_of::<Returned>());
        let bytes = size.checked_add(size_of::<Header>())?.checked_add(slack)?;
        let layout = Layout::from_size_align(bytes, ALIGN)
            .ok()
            .filter(|_| bytes <= MOST_BYTES)?;
        let (block, pool) = match pools.main.allocate(layout) {
            Some(block) => (block, Pool::Main),
            None => self.search_on(pools, layout)?,
        };
        let first = block.addr().get() + size_of::<Header>();
        let user = if slack > 0 {
            first.next_multiple_of(align)
        } else {
            first
        };
        let user = block.map_addr(|address| address.saturating_add(user - address.get()));
        let back = user.addr().get() - block.addr().get();
        let footprint = (bytes + RLSF_HEADER).next_multiple_of(rlsf::GRANULARITY);
        let header = Header {
            size: narrow(size),
            back: narrow(back),
            footprint: narrow(footprint),
            tag: LIVE,
        };
        // SAFETY: `back` is at least a header's size, so that the header lies in the block, and `user` is
        // a multiple of 16.
        unsafe { header_of(user).write(header) };
        let in_use = self.in_use_bytes.load(Ordering::Relaxed) + footprint as u64;
        self.in_use_bytes.store(in_use, Ordering::Relaxed);
        if in_use > self.high_water_bytes.load(Ordering::Relaxed) {
            self.high_water_bytes.store(in_use, Ordering::Relaxed);
        }
        Some((user, pool))
    }

    /// The main part is full: everything that others have freed is looked at before the reserve is
    /// touched. Rare, and the one step whose length depends on how much others have freed.
    #[cold]
    fn search_on(&self, pools: &mut Pools, layout: Layout) -> Option<(NonNull<u8>, Pool)> {
        self.take_back(pools, usize::MAX);
        match pools.main.allocate(layout) {
            Some(block) => Some((block, Pool::Main)),
            None => pools
                .reserve
                .allocate(layout)
                .map(|block| (block, Pool::Reserve)),
        }
    }

    /// Frees a block. Constant time.
    ///
    /// # Safety
    /// The calling thread is the owner; `user` is a live block of this arena that nobody uses any more.
    pub(super) unsafe fn free(&self, user: *mut u8) {
        let user = self.retire(user);
        // SAFETY: the owner is the only one that touches the pools.
        let pools = unsafe { &mut *self.pools.get() };
        self.put_back(pools, user);
    }

    /// Frees a block from a thread that is not the owner: lock-free.
    ///
    /// # Safety
    /// `user` is a live block of this arena that nobody uses any more.
    pub(super) unsafe fn free_from_elsewhere(&self, user: *mut u8) {
        let node: NonNull<Returned> = self.retire(user).cast();
        let mut head = self.returned.load(Ordering::Relaxed);
        loop {
            // SAFETY: the block is retired, at least as large as the link, and aligned to 16.
            unsafe { node.write(Returned { next: head.cast() }) };
            // Publishes the link, and the last user's accesses to the block (B1). The owner takes the
            // whole stack at once, so that an address which comes back is no danger.
            match self.returned.compare_exchange_weak(
                head,
                node.as_ptr().cast(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Bytes of a block.
    ///
    /// # Safety
    /// `user` is a live block of this arena.
    pub(super) unsafe fn size_of(&self, user: *mut u8) -> usize {
        self.checked_header(user).1.size as usize
    }

    /// Frees up to `most` blocks that others gave back.
    fn take_back(&self, pools: &mut Pools, most: usize) {
        for _ in 0..most {
            if pools.pending.is_null() {
                if self.returned.load(Ordering::Relaxed).is_null() {
                    return;
                }
                // Pairs with the release in `free_from_elsewhere` (B1).
                pools.pending = self.returned.swap(std::ptr::null_mut(), Ordering::Acquire);
            }
            let Some(node) = NonNull::new(pools.pending.cast::<Returned>()) else {
                return;
            };
            // SAFETY: nodes of the stack are retired blocks whose link was written before they were
            // published (B1).
            pools.pending = unsafe { node.read() }.next.cast();
            self.put_back(pools, node.cast());
        }
    }

    /// Marks a live block as freed, so that freeing it twice is seen.
    fn retire(&self, user: *mut u8) -> NonNull<u8> {
        let (user, mut header) = self.checked_header(user);
        header.tag = FREED;
        // SAFETY: the header of a block that the caller gives up.
        unsafe { header_of(user).write(header) };
        user
    }

    /// Gives a retired block to the lists.
    fn put_back(&self, pools: &mut Pools, user: NonNull<u8>) {
        // SAFETY: the block is retired: its header is there, and nobody else uses it.
        let header = unsafe { header_of(user).read() };
        let block = user.map_addr(|address| {
            // Never zero: `back` is what `allocate` added.
            address
                .get()
                .checked_sub(header.back as usize)
                .and_then(std::num::NonZero::new)
                .unwrap_or(address)
        });
        let pool = if user.addr().get() < self.reserve {
            &mut pools.main
        } else {
            &mut pools.reserve
        };
        // SAFETY: `allocate` got this block of this pool with this alignment, and it is freed once.
        unsafe { pool.deallocate(block, ALIGN) };
        let in_use = self.in_use_bytes.load(Ordering::Relaxed);
        self.in_use_bytes
            .store(in_use - u64::from(header.footprint), Ordering::Relaxed);
    }

    /// The header of a live block. Anything else ends the process, as in the C library: memory is no
    /// longer what it should be.
    fn checked_header(&self, user: *mut u8) -> (NonNull<u8>, Header) {
        let inside = user.addr() >= self.start + size_of::<Self>() + size_of::<Header>();
        if let Some(user) = NonNull::new(user)
            && inside
            && user.addr().get().is_multiple_of(ALIGN)
        {
            // SAFETY: 16 bytes inside the arena, aligned; any bytes are a header.
            let header = unsafe { header_of(user).read() };
            if header.tag == LIVE {
                return (user, header);
            }
        }
        const WORDS: &[u8] =
            b"free or realloc of a pointer that the malloc arena has not handed out\n";
        // SAFETY: the text is live. Formatting could allocate.
        unsafe { nix::libc::write(2, WORDS.as_ptr().cast(), WORDS.len()) };
        std::process::abort();
    }
}

fn header_of(user: NonNull<u8>) -> NonNull<Header> {
    user.cast::<Header>().map_addr(|address| {
        address
            .get()
            .checked_sub(size_of::<Header>())
            .and_then(std::num::NonZero::new)
            .unwrap_or(address)
    })
}

/// Sizes in an arena are below 2 GiB.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
