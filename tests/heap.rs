//! Executables that link the library count every heap call of theirs, in whatever language, and a
//! thread with an arena runs TensorFlow Lite's own kernels without entering the heap.

use pinsight::profile::OnShortage;
use pinsight::sys::malloc_guard::{self, Arena, HeapCounts};
use pinsight::sys::memory::{Pages, Region, RegionRequest};
use std::hint::black_box;
use tflitec::interpreter::{Interpreter, Options};
use tflitec::model::Model;

#[test]
fn an_executable_that_links_the_library_has_its_heap_calls_counted() {
    malloc_guard::self_test().unwrap();
    let hot = malloc_guard::register_hot().unwrap();
    let _guard = malloc_guard::guard_on();
    drop(black_box(vec![1_u8; 1000]));
    assert_eq!((hot.counts().calls, hot.counts().frees), (1, 1));
    assert_eq!(hot.counts().growth_bytes(), 0);
}

fn arena(bytes: u64) -> &'static Arena {
    let region = Region::map(&RegionRequest {
        bytes,
        pages: Pages::Plain,
        node: None,
        on_shortage: OnShortage::Fallback,
    });
    Arena::new(region.unwrap()).unwrap()
}

/// Heap calls of 20 invokes with the built-in kernels, which allocate at each, after two warm-ups.
fn twenty_invokes(arena: Option<&'static Arena>) -> HeapCounts {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/.cache/models/visual_wake_words.tflite"
    );
    let model = Model::new(path).unwrap_or_else(|error| {
        panic!("{path}: {error}; `make setup` fetches it");
    });
    let options = Options {
        thread_count: 1,
        is_xnnpack_enabled: false,
    };
    let interpreter = Interpreter::new(&model, Some(options)).unwrap();
    interpreter.allocate_tensors().unwrap();
    for _ in 0..2 {
        interpreter.invoke().unwrap();
    }
    let mut hot = malloc_guard::register_hot().unwrap();
    if let Some(arena) = arena {
        hot.attach(arena).unwrap();
    }
    let guard = malloc_guard::guard_on();
    for _ in 0..20 {
        interpreter.invoke().unwrap();
    }
    drop(guard);
    hot.counts()
}

#[test]
fn the_built_in_kernels_allocate_at_each_invoke_and_are_counted() {
    let counts = twenty_invokes(None);
    assert!(counts.calls >= 20, "{counts:?}");
    assert_eq!(counts.growth_bytes(), 0, "{counts:?}");
}

#[test]
fn with_an_arena_the_same_invokes_never_enter_the_heap() {
    let arena = arena(1 << 20);
    let counts = twenty_invokes(Some(arena));
    assert_eq!(counts.heap_calls(), 0, "{counts:?}");
    assert_eq!(counts.growth_bytes(), 0);
    assert!(counts.arena_served >= 20, "{counts:?}");
    assert_eq!((counts.arena_overdrawn, counts.arena_refused), (0, 0));
    assert_eq!(counts.arena_served, counts.arena_returned);
    assert!(arena.report().high_water_bytes > 0);
    assert_eq!(arena.report().in_use_bytes, 0);
}

#[test]
fn an_arena_that_is_too_small_fails_inferences_by_count_and_not_the_process() {
    let arena = arena(64 << 10);
    let mut hot = malloc_guard::register_hot().unwrap();
    hot.attach(arena).unwrap();
    let guard = malloc_guard::guard_on();
    // Fills most of the main part, so that small requests need the reserve and large ones the heap.
    let ballast: Vec<Box<[u8; 1024]>> = (0..39).map(|_| black_box(Box::new([0; 1024]))).collect();
    drop(guard);
    drop(hot);
    let counts = twenty_invokes(Some(arena));
    assert!(
        counts.arena_overdrawn > 0 && counts.arena_refused > 0,
        "{counts:?}"
    );
    assert_eq!(counts.calls, counts.arena_refused);
    assert_eq!(counts.growth_bytes(), 0, "{counts:?}");
    drop(ballast);
}

/// Runs the test of this name again in a process of its own, where it is to die; gives its last words.
#[track_caller]
fn last_words(name: &str, dying: fn()) -> Option<String> {
    const DYING: &str = "PINSIGHT_TEST_DYING";
    if std::env::var_os(DYING).is_some() {
        dying();
        return None;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(DYING, "1")
        .output()
        .unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(6),
        "it aborts"
    );
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[inline(never)]
fn somebody_who_allocates() {
    drop(black_box(vec![1_u8; 100]));
}

#[test]
fn a_set_trap_ends_the_process_at_a_hot_threads_first_call_and_says_who_it_was() {
    let name = "a_set_trap_ends_the_process_at_a_hot_threads_first_call_and_says_who_it_was";
    let words = last_words(name, || {
        let _hot = malloc_guard::register_hot().unwrap();
        malloc_guard::set_trap(true);
        somebody_who_allocates();
        let _guard = malloc_guard::guard_on();
        somebody_who_allocates();
    });
    if let Some(words) = words {
        assert!(words.contains("a hot thread entered the heap"), "{words}");
        assert!(words.contains("somebody_who_allocates"), "{words}");
    }
}

#[test]
#[allow(unsafe_code)]
fn a_block_of_an_arena_that_is_freed_twice_ends_the_process() {
    let name = "a_block_of_an_arena_that_is_freed_twice_ends_the_process";
    let words = last_words(name, || {
        let mut hot = malloc_guard::register_hot().unwrap();
        hot.attach(arena(64 << 10)).unwrap();
        let _guard = malloc_guard::guard_on();
        // SAFETY: no requirement.
        let block = black_box(unsafe { nix::libc::malloc(100) });
        // SAFETY: live, freed once.
        unsafe { nix::libc::free(block) };
        // SAFETY: none: this is the fault that is to be caught.
        unsafe { nix::libc::free(black_box(block)) };
    });
    if let Some(words) = words {
        assert!(
            words.contains("the malloc arena has not handed out"),
            "{words}"
        );
    }
}
