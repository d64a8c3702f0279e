# %% [markdown]
# # 5 · WaveNet: sound, sample by sample
#
# **You will build WaveNet, which draws sound one sample at a time, see what it believes about each next sample, stop
# it from doing the same work twice, and hear it speak in four voices.**
#
# *Laptop: under 90 seconds, and your ears. You need: chapters 3 and 4.*

# %% tags=["setup"]
from importlib.util import find_spec

if find_spec("course_lib") is None:  # the library behind the chapters is not here
    import re
    import socket
    import subprocess
    import sys
    from contextlib import suppress
    from urllib.parse import unquote
    from urllib.request import urlopen

    session = ""
    if "google.colab" in sys.modules:  # where a session knows its notebook's address
        at = f"http://{socket.gethostname()}:9000/api/sessions"
        with suppress(OSError), urlopen(at) as answer:
            session = unquote(answer.read().decode())
    at = re.search(r"(https://github\.com/[\w.-]+/[\w.-]+)/blob/([\w.-]+)", session)
    if at is None:
        raise ModuleNotFoundError(
            "course_lib is not installed: run `pip install -e .` in the course's "
            "folder, then choose that Python for this notebook"
        )
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"git+{at[1]}@{at[2]}"], check=True)


# %% [markdown]
# ## What you will get
#
# Ten words that nobody said. A network of this chapter's kind, trained for 28 minutes on two real voices, was told
# which digit, which of the two people, and how far the word has got. It drew the rest: 8,000 numbers a second, each
# given those before it. The words are chosen: for each digit ten draws are made, and the first that a recogniser
# accepts is kept; it accepts 83 of all 100. `python benchmarks/train.py spoken_digits --steps 8000` makes this sound.

SECTION "The same on real voices":
# Set `source` at the top to `"spoken digits"`, and the same cells train on six real people, for half a minute. Nobody
# has written down their phones, so `local_condition` says which digit it is and how far the word has got. The ten
# words of the beginning are a larger network's: 16 layers that see 64 ms, trained for 28 minutes of one busy core on
# 880 recordings of two people. It pays 4.26 bits a sample, the bigram 5.76.
#
# Are they words? A recogniser decides, a small network that learnt from recordings of all six people, and from words
# played backwards and hiss, which it must refuse. Of a person it has never heard, it knows 83 % of the words (66 to
# 96 %, by person). Of our two it knows 100 of 100 real ones that it has not heard, and refuses 97 of these played
# backwards and 96 of 100 hisses. It accepts 83 of the 100 draws; of each digit you heard the first that it accepts,
# and for nine of the ten digits that was the first draw.
#
# To choose by a judge is to please that judge, so we ask a second one: which of the 100 real recordings is nearest?
# It is of the right digit for 85 of the 100 draws (chance: 10; real words: 94), for 10 of the ten chosen, and of
# the right person for 93. Real voices are harder than our program's: rooms, noise, and no two people who say *seven*
# alike.
#
# ## What we saw
#
# - Sound is a sentence of samples. A softmax over 256 levels, spaced by **μ-law**, says what may come next. It assumes
#   no shape, and here it finds a bell by itself.
# - **Dilated causal convolutions** see exponentially far in depth, and train on all positions at once.
# - A layer is a convolution, a **gate**, a **skip** and a **residual** connection. Twelve of them with a smooth start, a
#   head and two conditions are a WaveNet.
# - Drawing goes sample by sample. **Queues** take away what is done twice. They do not take away the waiting.
# - Two programs for one model draw the same up to rounding, and one flipped draw changes all that follow.
#
# What does such a network remember in its 16 ms, and what of it would a listener understand? That is the
# [second page](05_wavenet_memory.ipynb). The price also remains: one pass a sample, one after another. Chapter 7 draws
# everything at once.
#
# ## Your turn
#
# 1. In the lattice, count the dots of one tree. How many are new? How many of each would there be for L layers?
# 2. Raise the two words up to +3 dB before rounding, nearly as loud as they can be. Where does the linear law overtake
#    μ-law, and why there?
# 3. `growth=3, layers=8, stacks=2`: what does the network see now, where are the holes, and what does it cost in bits?
# 4. Begin a word in Adam's voice and finish it in Dora's: `sample` takes `given`.
# 5. Which temperature sounds best to you? Does your neighbour agree?
# 6. Set `place` to *least like a bell* and step through `t`. What is the network waiting for?
# 7. Train the bell as long as the softmax. Does it catch up?
#
# Then the graded assignment: `coursework/05_wavenet`.
#
# Further reading: [van den Oord et al. (2016)](references.md#oord2016wavenet) is the paper;
# [Paine et al. (2016)](references.md#paine2016) are the queues; [Yu and Koltun (2016)](references.md#yu2016) made
# dilation known for images, though it is older; [Salimans et al. (2017)](references.md#salimans2017) use mixtures of
# bells, cut at the levels' borders as here, in place of the softmax.
