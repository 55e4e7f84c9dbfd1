#!/usr/bin/env bash
# Print the path of a Python that can make an environment, or say what to install.
#
# WANT is its version, 3.10 by default, which Lava needs.
# Order: $PYTHON (checked, nothing else is tried), PATH, pyenv, uv, conda, usual folders.
# A candidate counts only when it runs: a pyenv shim of a version that is not active does not.
# AVOID=DIR leaves out interpreters inside DIR (the environment that is about to be replaced).
# SYSROOT=DIR is put before the absolute folders that are searched (for a mounted system, and tests).
# Exit status: 0 found, 1 none.
set -u
shopt -s nullglob

want=${WANT:-3.10}
why="Other versions may stay beside it."
[ "$want" = 3.10 ] &&
    why="Lava (lava-nc 0.10.0, lava-dl 0.6.0) runs on Python 3.10 alone; other versions may stay beside it."
home=${HOME:-/nonexistent}
sys=${SYSROOT:-}
modules="venv ensurepip ssl zlib ctypes bz2 lzma"
rejected=""

# Answer "ok", or the reason against it; nothing when it does not run at all.
probe() {
    "$1" -I -c '
import importlib, platform, sys
version = sys.version_info[:2]
if "%d.%d" % version != sys.argv[1]:
    print("is Python %d.%d" % version)
elif platform.python_implementation() != "CPython":
    print("is %s, not CPython" % platform.python_implementation())
else:
    missing = []
    for name in sys.argv[2:]:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    print("lacks the module%s %s" % ("s" * (len(missing) > 1), ", ".join(missing)) if missing else "ok")
' "$want" $modules 2>/dev/null </dev/null
}

# Print the candidate and leave when it serves; else remember why one of this version did not.
try() {
    local path=$1 answer
    [ -f "$path" ] && [ -x "$path" ] || return 0
    if [ -n "${AVOID:-}" ]; then
        case $path in "$AVOID"/*) return 0 ;; esac
    fi
    answer=$(probe "$path") || answer=""
    case $answer in
        ok) printf '%s\n' "$path"; exit 0 ;;
        "is Python "*) ;;
        "") ;;
        *)  case $rejected in
                *"  $path "*) ;;
                *) rejected="$rejected  $path $answer"$'\n' ;;
            esac ;;
    esac
}

# Where each tool of the PATH (all of them, not only the first) has one.
try_on_path() {
    local dir name old_ifs=$IFS
    local -a dirs
    IFS=:
    read -r -a dirs <<<"${PATH:-}"
    IFS=$old_ifs
    for name in "python$want" python3 python; do
        for dir in ${dirs[@]+"${dirs[@]}"}; do
            [ -n "$dir" ] && try "$dir/$name"
        done
    done
}

try_pyenv() {
    local root path
    local -a roots
    roots=("${PYENV_ROOT:-$home/.pyenv}" "$home/.pyenv")
    if command -v pyenv >/dev/null 2>&1; then
        root=$(pyenv root 2>/dev/null </dev/null) && roots+=("$root")
    fi
    # Shims on the PATH tell where pyenv lives even when HOME does not.
    root=$(command -v "python$want" 2>/dev/null) || root=""
    case $root in */shims/"python$want") roots+=("${root%/shims/*}") ;; esac
    for root in "${roots[@]}"; do
        # 3.10.13 before 3.10.4: the newest patch release first.
        while IFS= read -r path; do
            try "$root/versions/$path/bin/python$want"
        done < <(cd "$root/versions" 2>/dev/null && printf '%s\n' "$want"* | sort -t. -k3,3nr)
        for path in "$root"/versions/*/bin/"python$want"; do try "$path"; done
    done
}

try_uv() {
    local path
    if command -v uv >/dev/null 2>&1; then
        path=$(uv python find --system "$want" 2>/dev/null </dev/null) && try "$path"
    fi
    for path in \
        ${UV_PYTHON_INSTALL_DIR:+"$UV_PYTHON_INSTALL_DIR"/cpython-"$want"*/bin/"python$want"} \
        "${XDG_DATA_HOME:-$home/.local/share}"/uv/python/cpython-"$want"*/bin/"python$want"; do
        try "$path"
    done
}

try_conda() {
    local base path
    local -a bases
    bases=("$home/miniconda3" "$home/anaconda3" "$home/miniforge3" "$home/mambaforge" \
        "$home/micromamba" "$home/.conda" "$home/.local/share/mamba" \
        "$sys/opt/conda" "$sys/opt/miniconda3" "$sys/opt/anaconda3" "$sys/opt/miniforge3")
    [ -n "${CONDA_PREFIX:-}" ] && bases=("$CONDA_PREFIX" "${bases[@]}")
    [ -n "${MAMBA_ROOT_PREFIX:-}" ] && bases+=("$MAMBA_ROOT_PREFIX")
    [ -n "${CONDA_EXE:-}" ] && bases+=("${CONDA_EXE%/*/*}")
    if [ -r "$home/.conda/environments.txt" ]; then
        while IFS= read -r path; do
            [ -n "$path" ] && bases+=("$path")
        done <"$home/.conda/environments.txt"
    fi
    for base in "${bases[@]}"; do
        try "$base/bin/python$want"
        for path in "$base"/envs/*/bin/"python$want"; do try "$path"; done
    done
}

try_usual_folders() {
    local path
    for path in "$sys/usr/bin/python$want" "$sys/usr/local/bin/python$want" \
        "$sys/opt/homebrew/bin/python$want" \
        "$sys/opt/homebrew/opt/python@$want/bin/python$want" \
        "$sys/usr/local/opt/python@$want/bin/python$want" \
        "$sys/opt/python/cp${want/./}-cp${want/./}/bin/python$want" \
        "$home"/.asdf/installs/python/"$want"*/bin/"python$want" \
        "$home"/.local/share/mise/installs/python/"$want"*/bin/"python$want"; do
        try "$path"
    done
}

if [ -n "${PYTHON:-}" ]; then
    path=$(command -v "$PYTHON" 2>/dev/null) || path=""
    answer=""
    [ -n "$path" ] && answer=$(probe "$path")
    if [ "$answer" = ok ]; then
        printf '%s\n' "$path"
        exit 0
    fi
    {
        if [ -z "$path" ]; then
            echo "PYTHON=$PYTHON names no program that can be run."
        else
            echo "PYTHON=$PYTHON cannot be used: it ${answer:-does not run}."
        fi
        echo "CPython $want with venv is needed: set PYTHON to one, or unset it to let this script search."
    } >&2
    exit 1
fi

try_on_path
try_pyenv
try_uv
try_conda
try_usual_folders

{
    echo "No usable Python $want found (looked on PATH and in pyenv, uv, conda and the usual folders)."
    echo "$why"
    if [ -n "$rejected" ]; then
        echo
        echo "Found, but not usable:"
        printf '%s' "$rejected"
        case $rejected in
            *ensurepip*|*venv*)
                echo "  On Debian and Ubuntu 'venv' and 'ensurepip' come with: sudo apt install python$want-venv" ;;
        esac
        case $rejected in
            *ssl*|*zlib*|*ctypes*|*bz2*|*lzma*)
                echo "  A Python built from source lacks modules whose headers were missing: install the"
                echo "  development packages of openssl, zlib, libffi, bzip2 and xz, then build it again." ;;
        esac
    fi
    echo
    echo "Install it in one of these ways, then run the same command again:"
    echo "  uv      uv python install $want"
    echo "  pyenv   pyenv install $want"
    echo "  conda   conda create -n py${want/./} python=$want"
    echo "  Debian, Ubuntu (where the release has it)   sudo apt install python$want python$want-venv"
    echo "  macOS with Homebrew   brew install python@$want"
    echo "Or name one that is elsewhere: make setup PYTHON=/path/to/python$want"
} >&2
exit 1
