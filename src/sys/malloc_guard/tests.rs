use super::*;
use crate::profile::OnShortage;
use crate::sys::memory::{Pages, Region, RegionRequest};
use nix::libc::c_void;
use proptest::prelude::*;
use std::cell::Cell;

fn new_arena(bytes: u64) -> &'static Arena {
    let region = Region::map(&RegionRequest {
        bytes,
        pages: Pages::Plain,
        node: Some(0),
        on_shortage: OnShortage::Fallback,
    });
    Arena::new(region.unwrap()).unwrap()
}

/// What `work` entered on a hot thread under the guard, with an arena if there is one.
fn counted<T: Send>(
    arena: Option<&'static Arena>,
    work: impl FnOnce() -> T + Send,
) -> (HeapCounts, T) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut hot = register_hot().unwrap();
            if let Some(arena) = arena {
                hot.attach(arena).unwrap();
            }
            let guard = guard_on();
            let before = hot.counts();
            let result = work();
            let counts = hot.counts().since(&before);
            drop(guard);
            (counts, result)
        });
        thread.join().unwrap()
    })
}

fn lies_in(pointer: *const c_void, arena: &Arena) -> bool {
    arena::owner_of(pointer.cast_mut()).is_some_and(|owner| std::ptr::eq(owner, arena))
}

#[test]
fn calls_of_c_and_of_rust_pass_through_this_executables_door() {
    self_test().unwrap();
}

#[test]
fn a_hot_threads_calls_are_counted_only_while_a_guard_is_held() {
    let hot = register_hot().unwrap();
    assert_eq!(register_hot().unwrap_err(), HeapError::AlreadyHot);
    let (counts, ()) = counted(None, || ());
    assert_eq!(counts, HeapCounts::default());
    let (counts, vector) = counted(None, || black_box(Vec::<u8>::with_capacity(1000)));
    assert_eq!((counts.calls, counts.frees), (1, 0));
    assert!(counts.growth_bytes() >= 1000, "{counts:?}");
    drop(vector);
    let (counts, ()) = counted(None, || drop(black_box(vec![1_u64; 100])));
    assert_eq!(
        (counts.calls, counts.frees, counts.growth_bytes()),
        (1, 1, 0)
    );
    assert_eq!(counts.heap_calls(), 2);
    drop(hot);
}

#[test]
fn a_c_strings_copy_and_a_grown_vector_are_counted_with_their_bytes() {
    let (counts, copy) = counted(None, || {
        // SAFETY: the string ends with NUL.
        unsafe { libc::strdup(c"twelve bytes".as_ptr()) }.expose_provenance()
    });
    assert_eq!(counts.calls, 1);
    assert!(counts.allocated_bytes >= 13);
    // SAFETY: strdup gave it.
    unsafe { libc::free(std::ptr::with_exposed_provenance_mut(copy)) };

    let (counts, vector) = counted(None, || {
        let mut vector = black_box(Vec::<u8>::with_capacity(16));
        vector.reserve_exact(100_000);
        vector
    });
    assert_eq!(counts.calls, 2);
    assert!(
        (100_000..110_000).contains(&counts.growth_bytes()),
        "{counts:?}"
    );
    drop(vector);
}

#[test]
fn operator_new_of_the_tensorflow_lite_library_is_counted() {
    // Links the library.
    use tflitec as _;
    unsafe extern "C" {
        fn TfLiteInterpreterOptionsCreate() -> *mut c_void;
        fn TfLiteInterpreterOptionsDelete(options: *mut c_void);
    }
    let (counts, ()) = counted(None, || {
        // SAFETY: no requirement.
        let options = unsafe { TfLiteInterpreterOptionsCreate() };
        // SAFETY: just made.
        unsafe { TfLiteInterpreterOptionsDelete(options) };
    });
    assert!(
        counts.calls >= 1 && counts.frees == counts.calls,
        "{counts:?}"
    );
    assert_eq!(counts.growth_bytes(), 0);
}

#[test]
fn other_threads_are_counted_together_and_not_as_hot() {
    let _guard = guard_on();
    let before = other_counts();
    drop(black_box(vec![1_u8; 10_000]));
    assert!(other_counts().since(&before).calls >= 1);
    assert_eq!(
        thread_counts().since(&other_counts()),
        HeapCounts::default()
    );
    let ended = hot_counts();
    let (counts, ()) = counted(None, || drop(black_box(vec![1_u8; 10])));
    let all = hot_counts().since(&ended);
    assert!(
        all.calls >= counts.calls && all.frees >= counts.frees,
        "{all:?}"
    );
}

/// One call of each function of the C library that allocates, with the alignment it promises.
fn one_of_each() -> Vec<(&'static str, *mut c_void, usize)> {
    let mut aligned = std::ptr::null_mut();
    // SAFETY: the result is live.
    let answer = unsafe { interpose::posix_memalign(&raw mut aligned, 64, 100) };
    assert_eq!(answer, 0);
    // SAFETY, for each of these: a function that asks nothing of its caller.
    #[allow(clippy::undocumented_unsafe_blocks)]
    let calls = vec![
        ("malloc", unsafe { libc::malloc(100) }, 16),
        ("calloc", unsafe { libc::calloc(10, 10) }, 16),
        (
            "realloc",
            unsafe { libc::realloc(std::ptr::null_mut(), 100) },
            16,
        ),
        ("posix_memalign", aligned, 64),
        (
            "aligned_alloc",
            unsafe { interpose::aligned_alloc(256, 100) },
            256,
        ),
        ("memalign", unsafe { libc::memalign(4096, 100) }, 4096),
        ("memalign 1", unsafe { libc::memalign(1, 100) }, 16),
        ("valloc", unsafe { interpose::valloc(100) }, 4096),
        ("pvalloc", unsafe { interpose::pvalloc(100) }, 4096),
    ];
    calls
}

#[test]
fn every_function_is_counted_aligned_and_measured_with_and_without_an_arena() {
    for arena in [None, Some(new_arena(256 << 10))] {
        let (counts, calls) = counted(arena, || {
            let mut list = arrayvec();
            for (name, pointer, align) in one_of_each() {
                assert!(
                    pointer.addr().is_multiple_of(align) && !pointer.is_null(),
                    "{name}"
                );
                assert_eq!(
                    arena.is_some(),
                    arena.is_some_and(|a| lies_in(pointer, a)),
                    "{name}"
                );
                // SAFETY: the pointer is a live allocation.
                let usable = unsafe { libc::malloc_usable_size(pointer) };
                assert!(usable >= 100, "{name}");
                // SAFETY: that many bytes may be written.
                unsafe { pointer.write_bytes(0xa5, usable) };
                list.push(pointer.expose_provenance()).unwrap();
            }
            for pointer in &list {
                // SAFETY: each came from a function of this family and is freed once.
                unsafe { libc::free(std::ptr::with_exposed_provenance_mut(*pointer)) };
            }
            list.len() as u64
        });
        // The list that `one_of_each` gives is one more.
        match arena {
            None => assert_eq!((counts.calls, counts.frees), (calls + 1, calls + 1)),
            Some(arena) => {
                assert_eq!(counts.heap_calls(), 0, "{counts:?}");
                assert_eq!(
                    (counts.arena_served, counts.arena_returned),
                    (calls + 1, calls + 1)
                );
                assert_eq!(arena.report().in_use_bytes, 0);
                assert!(arena.report().high_water_bytes > 9 * 100);
            }
        }
    }
}

fn arrayvec() -> heapless::Vec<usize, 16> {
    heapless::Vec::new()
}

#[test]
fn wrong_alignments_and_overflowing_sizes_are_refused_as_the_c_library_does() {
    let arena = new_arena(64 << 10);
    for arena in [None, Some(arena)] {
        let (counts, ()) = counted(arena, || {
            let mut result = std::ptr::null_mut();
            for align in [0, 1, 4, 24] {
                // SAFETY: the result is live.
                let answer = unsafe { interpose::posix_memalign(&raw mut result, align, 8) };
                assert_eq!((answer, result.is_null()), (libc::EINVAL, true));
            }
            // SAFETY: no requirement.
            assert!(unsafe { interpose::aligned_alloc(3, 8) }.is_null());
            // SAFETY: no requirement.
            assert!(unsafe { libc::calloc(black_box(usize::MAX / 2), 3) }.is_null());
            // SAFETY: no requirement.
            assert!(unsafe { libc::malloc(black_box(usize::MAX - 4096)) }.is_null());
            assert_eq!(nix::errno::Errno::last(), nix::errno::Errno::ENOMEM);
        });
        assert_eq!(counts.growth_bytes(), 0);
    }
}

#[test]
fn calloc_of_an_arena_is_zero_where_bytes_lay_before() {
    let (_, ()) = counted(Some(new_arena(64 << 10)), || {
        // SAFETY: no requirement.
        let dirty = unsafe { libc::malloc(5000) };
        // SAFETY: a live allocation of that size.
        unsafe { dirty.write_bytes(0xff, 5000) };
        // SAFETY: live, freed once.
        unsafe { libc::free(dirty) };
        // SAFETY: no requirement.
        let clean = unsafe { libc::calloc(50, 100) };
        assert_eq!(clean, dirty);
        // SAFETY: a live allocation of 5000 initialised bytes.
        let bytes = unsafe { std::slice::from_raw_parts(clean.cast::<u8>(), 5000) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        // SAFETY: live, freed once.
        unsafe { libc::free(clean) };
    });
}

#[test]
fn realloc_keeps_the_bytes_within_an_arena_and_into_it() {
    let arena = new_arena(256 << 10);
    let from_before: Vec<u8> = (0..=255).collect();
    let (counts, ()) = counted(Some(arena), move || {
        let mut vector = from_before;
        for size in [1000, 5000, 20_000] {
            vector.reserve_exact(size);
            assert!(lies_in(vector.as_ptr().cast(), arena));
            assert!(vector[..256].iter().copied().eq(0..=255));
        }
        vector.shrink_to_fit();
        assert!(vector.iter().copied().eq(0..=255));
        // SAFETY: no requirement.
        let block = unsafe { libc::malloc(100) };
        // SAFETY: live; size 0 frees it.
        assert!(unsafe { libc::realloc(block, 0) }.is_null());
    });
    // The vector's first block went back to the C library, and nothing came from there.
    assert_eq!((counts.calls, counts.frees), (0, 1));
    assert!(counts.growth_bytes() < 0);
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[test]
fn a_block_outlives_the_guard_and_may_be_freed_or_grown_by_any_thread() {
    let arena = new_arena(128 << 10);
    let (_, (first, second)) = counted(Some(arena), || (vec![7_u8; 100], vec![9_u8; 100]));
    assert!(lies_in(first.as_ptr().cast(), arena));
    let in_use = arena.report().in_use_bytes;
    drop(first);
    let mut second = second;
    second.reserve_exact(1 << 20);
    assert!(!lies_in(second.as_ptr().cast(), arena));
    assert!(second.iter().all(|&byte| byte == 9));
    assert_eq!(
        arena.report().in_use_bytes,
        in_use,
        "only the owner takes blocks back"
    );
    let (counts, ()) = counted(Some(arena), || drop(black_box(Box::new(1_u64))));
    assert_eq!(counts.arena_served, 1);
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[test]
fn an_arena_serves_one_thread_at_a_time() {
    let arena = new_arena(64 << 10);
    let mut hot = register_hot().unwrap();
    hot.attach(arena).unwrap();
    assert_eq!(hot.attach(new_arena(64 << 10)), Err(HeapError::ArenaTaken));
    let other = std::thread::spawn(move || register_hot().unwrap().attach(arena));
    assert_eq!(other.join().unwrap(), Err(HeapError::ArenaTaken));
    drop(hot);
    let other = std::thread::spawn(move || register_hot().unwrap().attach(arena));
    assert_eq!(other.join().unwrap(), Ok(()));
}

#[test]
fn an_exhausted_arena_lends_from_its_reserve_then_from_the_c_library_and_counts_both() {
    let arena = new_arena(128 << 10);
    let report = arena.report();
    assert!(
        report.reserve_bytes >= 32 << 10 && report.main_bytes >= 95 << 10,
        "{report:?}"
    );
    let (counts, blocks) = counted(Some(arena), || {
        let mut blocks = heapless::Vec::<Box<[u8; 4096]>, 64>::new();
        for _ in 0..40 {
            blocks.push(black_box(Box::new([1; 4096]))).unwrap();
        }
        blocks
    });
    assert_eq!(blocks.len(), 40, "nobody was given null");
    assert!(
        (20..=23).contains(&(counts.arena_served - counts.arena_overdrawn)),
        "{counts:?}"
    );
    assert!((6..=8).contains(&counts.arena_overdrawn), "{counts:?}");
    assert_eq!(counts.arena_served + counts.arena_refused, 40);
    assert_eq!(counts.calls, counts.arena_refused);
    drop(blocks);
    // All of it is back for the next inference.
    let (counts, ()) = counted(Some(arena), || drop(black_box(vec![0_u8; 80 << 10])));
    assert_eq!(
        (counts.arena_served, counts.arena_overdrawn, counts.calls),
        (1, 0, 0)
    );
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[test]
fn arenas_below_64_kib_are_refused() {
    let region = Region::map(&RegionRequest {
        bytes: 32 << 10,
        pages: Pages::Plain,
        node: None,
        on_shortage: OnShortage::Fallback,
    });
    let error = Arena::new(region.unwrap()).unwrap_err();
    assert_eq!(error, ArenaError::Size(32 << 10));
    assert!(error.to_string().contains("malloc-arena-kib"));
}

#[test]
fn blocks_that_other_threads_free_while_the_owner_allocates_all_come_back() {
    let arena = new_arena(1 << 20);
    let (sender, receiver) = std::sync::mpsc::sync_channel::<usize>(64);
    let freeing = std::thread::spawn(move || {
        let mut count = 0;
        for address in receiver {
            let block = std::ptr::with_exposed_provenance_mut::<u8>(address);
            // SAFETY: the owner gave it away with its first byte written.
            assert_eq!(unsafe { block.read() }, 0x77);
            // SAFETY: a live block, given away.
            unsafe { libc::free(block.cast()) };
            count += 1;
        }
        count
    });
    let (counts, ()) = counted(Some(arena), move || {
        for size in 0..20_000 {
            // SAFETY: no requirement.
            let block = unsafe { libc::malloc(1 + size % 3000) };
            assert!(lies_in(block, arena));
            // SAFETY: at least one byte.
            unsafe { block.cast::<u8>().write(0x77) };
            // A full channel waits without allocating only where it did so before; so spin.
            let mut value = block.expose_provenance();
            while let Err(std::sync::mpsc::TrySendError::Full(back)) = sender.try_send(value) {
                value = back;
                std::thread::yield_now();
            }
        }
    });
    assert_eq!(freeing.join().unwrap(), 20_000);
    assert!(counts.arena_served >= 20_000);
    assert_eq!(
        counts.arena_overdrawn, 0,
        "at most 64 blocks of 3000 bytes are on their way"
    );
    // The owner's next calls find the last of them.
    let (_, ()) = counted(Some(arena), || {
        for _ in 0..100 {
            drop(black_box(Box::new(1_u64)));
        }
    });
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate { size: usize, align: usize },
    Free { which: usize, elsewhere: bool },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let size = prop_oneof![4 => 0_usize..200, 2 => 0_usize..5000, 1 => 0_usize..60_000];
    let align = prop_oneof![4 => Just(0), 1 => (0_u32..13).prop_map(|log2| 1 << log2)];
    let operation = prop_oneof![
        3 => (size, align).prop_map(|(size, align)| Operation::Allocate { size, align }),
        2 => (any::<usize>(), any::<bool>())
            .prop_map(|(which, elsewhere)| Operation::Free { which, elsewhere }),
    ];
    prop::collection::vec(operation, 1..200)
}

#[test]
fn blocks_never_overlap_keep_their_bytes_and_leave_a_whole_arena_behind() {
    struct Block {
        address: NonNull<u8>,
        size: usize,
        fill: u8,
    }
    use std::ptr::NonNull;
    let arena = new_arena(256 << 10);
    let overdrawn = Cell::new(0_u64);
    proptest!(|(operations in operations())| {
        // A case that failed has not released it.
        arena.release();
        prop_assert!(arena.acquire());
        let mut live: Vec<Block> = Vec::new();
        let check = |block: &Block| {
            // SAFETY: a live block that was filled whole.
            let bytes = unsafe { std::slice::from_raw_parts(block.address.as_ptr(), block.size) };
            bytes.iter().all(|&byte| byte == block.fill)
        };
        for (fill, operation) in (0_u8..=255).cycle().zip(operations) {
            match operation {
                Operation::Allocate { size, align } => {
                    // SAFETY: this thread acquired the arena.
                    let Some((address, pool)) = (unsafe { arena.allocate(size, align) }) else {
                        continue;
                    };
                    overdrawn.set(overdrawn.get() + u64::from(pool == Pool::Reserve));
                    let (low, high) = (address.addr().get(), address.addr().get() + size);
                    prop_assert!(low.is_multiple_of(align.max(16)));
                    for other in &live {
                        let other_low = other.address.addr().get();
                        prop_assert!(high <= other_low || low >= other_low + other.size);
                    }
                    // SAFETY: `size` bytes of a fresh block.
                    unsafe { address.write_bytes(fill, size) };
                    live.push(Block { address, size, fill });
                }
                Operation::Free { which, elsewhere } if !live.is_empty() => {
                    let block = live.swap_remove(which % live.len());
                    prop_assert!(check(&block));
                    if elsewhere {
                        // SAFETY: live, and forgotten here.
                        unsafe { arena.free_from_elsewhere(block.address.as_ptr()) };
                    } else {
                        // SAFETY: this thread acquired the arena; live, and forgotten here.
                        unsafe { arena.free(block.address.as_ptr()) };
                    }
                }
                Operation::Free { .. } => {}
            }
        }
        prop_assert!(live.iter().all(check));
        for block in live.drain(..) {
            // SAFETY: live, and forgotten here.
            unsafe { arena.free_from_elsewhere(block.address.as_ptr()) };
        }
        // A few come back with each call.
        for _ in 0..60 {
            // SAFETY: this thread acquired the arena.
            let (block, _) = unsafe { arena.allocate(1, 0) }.unwrap();
            // SAFETY: as above; live, and forgotten here.
            unsafe { arena.free(block.as_ptr()) };
        }
        prop_assert_eq!(arena.report().in_use_bytes, 0);
        // Nearly the whole main part fits again: everything came back, and in one piece.
        let whole = usize::try_from(arena.report().main_bytes).unwrap() * 15 / 16;
        // SAFETY: this thread acquired the arena.
        let (all, pool) = unsafe { arena.allocate(whole - (8 << 10), 0) }.unwrap();
        prop_assert_eq!(pool, Pool::Main);
        // SAFETY: live, and forgotten here.
        unsafe { arena.free(all.as_ptr()) };
        prop_assert_eq!(arena.report().in_use_bytes, 0);
        arena.release();
    });
    assert!(overdrawn.get() > 0, "some cases fill the main part");
}

#[test]
fn what_the_program_reads_and_says_of_itself_after_ready_needs_no_heap() {
    use crate::sys::clock;
    use crate::sys::memory;
    use crate::sys::service::logger;
    use crate::sys::service::notify;
    use crate::sys::service::signal;
    use crate::sys::thread;
    use std::os::unix::net::UnixDatagram;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let _manager = UnixDatagram::bind(&path).unwrap();
    let (counts, usage) = {
        let path = path.clone();
        std::thread::spawn(move || {
            let notifier = notify::Notifier::connect(Some(path.as_os_str())).unwrap();
            let signals = signal::StopSignals::block().unwrap();
            let mut probe = thread::UsageProbe::open();
            let hot = register_hot().unwrap();
            let guard = guard_on();
            let before = probe.read();
            for turn in 0..3 {
                probe.sample();
                assert_eq!(signals.wait(1000), Ok(None));
                let states = [
                    notify::NotifyState::Ready,
                    notify::NotifyState::Status("watching"),
                ];
                notifier.send(&states).unwrap();
                for style in logger::Style::ALL {
                    let (level, now_ns) = (log::Level::Info, clock::realtime_ns());
                    let line =
                        logger::LogLine::new(style, level, now_ns, format_args!("turn {turn}"));
                    assert!(line.as_str().len() > 8);
                }
                assert!(clock::now_ns() > 0 && memory::locked_bytes().is_some());
                assert!(thread_counts() == hot.counts());
            }
            let usage = probe.read().since(&before);
            let now = thread::ThreadUsage::now();
            assert!(now.minor_faults >= usage.minor_faults);
            drop(guard);
            (hot.counts(), usage)
        })
        .join()
        .unwrap()
    };
    assert_eq!(counts, HeapCounts::default(), "{usage:?}");
}
