//! Files that are not as they were written: each is named, and none is served, exported or copied in
//! silence.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;

use super::*;

/// Three files of one size, and where each lies.
fn three(server: &Server, ann: &Client, bob: &Client) -> Vec<(Value, PathBuf)> {
    [(ann, b'a'), (bob, b'b'), (ann, b'c')]
        .map(|(whose, byte)| {
            let file = upload(whose, "x", &vec![byte; 150_000]);
            send(whose, "common", &file).expect(201);
            let id = file["id"].as_str().unwrap_or_default();
            let path = server.data().join("files").join(id);
            (file, path)
        })
        .into()
}

/// Whether all say that they are damaged, and name them: who verifies, copies, and, of the first of
/// them, exports.
#[expect(clippy::expect_used, reason = "a step of a test")]
fn are_named(server: &Server, names: &[&str]) {
    let folder = server.folder();
    let verified = run(folder.path(), ["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    let has = |text: &str, name: &&str| text.contains(*name);
    let all = |text: &str| names.iter().all(|name| has(text, name));
    assert!(all(&verified.stdout), "{names:?}: {verified:?}");
    let exported = run(folder.path(), ["export", "out.jsonl"]);
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
    let any = names.iter().any(|name| has(&exported.stderr, name));
    assert!(any, "{names:?}: {exported:?}");
    assert!(!folder.join("out.jsonl").exists(), "{names:?}");
    // What can be had of it is worth having, and is told.
    let copied = run(folder.path(), ["backup", "copy.tar"]);
    assert_eq!(copied.status.code(), Some(1), "{copied:?}");
    assert!(all(&copied.stderr), "{names:?}: {copied:?}");
    fs::remove_file(folder.join("copy.tar")).expect("it is written");
}

/// Answered 500 `damaged` with its name, all of it and a part of it.
fn is_refused(client: &Client, file: &Value) {
    let (url, id) = (&file["url"], file["id"].as_str().unwrap_or_default());
    let url = url.as_str().unwrap_or_default();
    for range in ["bytes=0-", "bytes=70000-70009"] {
        let asked = client.request("GET", url).header("Range", range).send();
        let problem = asked.problem(500, "damaged");
        assert!(problem["detail"].to_string().contains(id), "{problem}");
    }
}

#[test]
fn a_file_that_is_cut_longer_or_gone_is_named_by_all() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let (file, path) = three(&server, &ann, &bob).swap_remove(0);
    let whole = fs::read(&path).expect("a file");
    let mut longer = whole.clone();
    longer.extend([0; 100]);
    let cut = [0, 100, 65_540, 131_080].map(|length| whole[..length].to_vec());
    let name = file["id"].as_str().unwrap_or_default();
    for bytes in cut.into_iter().chain([longer]) {
        fs::write(&path, &bytes).expect("written");
        is_refused(&ann, &file);
        are_named(&server, &[name]);
    }
    fs::remove_file(&path).expect("it is there");
    is_refused(&ann, &file);
    are_named(&server, &[name]);
    // It is right as soon as it is there again.
    fs::write(&path, &whole).expect("written");
    assert_eq!(get(&ann, &file).text.len(), 150_000);
    let right = run(server.folder().path(), ["verify"]);
    assert!(right.status.success(), "{right:?}");
    fs::remove_dir_all(server.data().join("files")).expect("they are there");
    are_named(&server, &["files/"]);
}

#[test]
fn files_that_lie_in_each_others_place_are_not_served() {
    let server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let three = three(&server, &ann, &bob);
    let aside = server.folder().join("aside");
    let [(first, one), (second, other), (third, _)] = &three[..] else {
        panic!("three");
    };
    fs::rename(one, &aside).expect("moved");
    fs::rename(other, one).expect("moved");
    fs::rename(&aside, other).expect("moved");
    let names = [first, second].map(|file| {
        is_refused(&ann, file);
        file["id"].as_str().unwrap_or_default()
    });
    are_named(&server, &names);
    assert_eq!(get(&bob, third).text, "c".repeat(150_000));
}

#[test]
fn a_file_of_before_its_checksums_knew_its_name_is_served_and_verified() {
    let mut server = server();
    let (ann, bob) = (server.connect("ann"), server.connect("bob"));
    let three = three(&server, &ann, &bob);
    server.stop();
    for ((_, path), byte) in three.iter().zip([b'a', b'b']) {
        let mut bytes = vec![byte; 150_000];
        let sums = bytes.chunks(65_536).map(crc32fast::hash);
        let sums: Vec<u8> = sums.flat_map(u32::to_le_bytes).collect();
        bytes.extend(sums);
        bytes.extend(b"veche-1\n");
        fs::write(path, bytes).expect("written");
    }
    server.restart();
    for ((file, _), text) in three.iter().zip(["a", "b", "c"]) {
        assert_eq!(get(&bob, file).text, text.repeat(150_000));
    }
    let right = run(server.folder().path(), ["verify"]);
    assert!(right.status.success(), "{right:?}");
    // What its name is not in, the row still tells.
    let [(file, one), (_, other), _] = &three[..] else {
        panic!("three");
    };
    fs::copy(other, one).expect("written");
    are_named(&server, &[file["id"].as_str().unwrap_or_default()]);
}

#[test]
fn a_damaged_lock_of_the_folder_is_found_before_the_next_start() {
    let mut server = server();
    server.connect("ann");
    let lock = server.data().join("files/lock");
    server.stop();
    let mut owner = fs::read(&lock).expect("a name");
    owner[3] ^= 1;
    fs::write(&lock, owner).expect("written");
    let found = run(server.folder().path(), ["verify"]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    assert!(found.stdout.contains("or the file is damaged"), "{found:?}");
    fs::remove_file(&lock).expect("it is there");
    server.restart();
}

#[test]
fn who_may_not_read_the_files_is_told_so_and_of_no_damage() {
    let mut server = Server::only("files", "");
    let ann = server.connect("ann");
    let upload = ann.request("POST", "/files?name=x");
    upload.body("bytes", "text/plain").send().expect(201);
    server.stop();
    let (folder, data) = (server.folder().path().to_owned(), server.data());
    let mut verify = Command::new(binary());
    verify
        .arg("verify")
        .arg("--data")
        .arg(&data)
        .current_dir("/");
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    };
    if fs::metadata(&data).expect("a folder").uid() == 0 {
        // Nothing is kept from root, so it is somebody else who asks, and reads all but the files.
        verify.uid(65_534).gid(65_534);
        allow(&folder, 0o755);
        allow(&data, 0o777);
        let all = fs::read_dir(&data).expect("a folder").flatten();
        all.for_each(|entry| allow(&entry.path(), 0o666));
    }
    allow(&data.join("files"), 0);
    let output = verify.output().expect("the binary starts");
    allow(&data.join("files"), 0o700);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("can be read") && said.contains("ermission denied"),
        "{said}"
    );
    assert!(!said.contains("damaged"), "{said}");
    assert_eq!(output.stdout, b"");
}
