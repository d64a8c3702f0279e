"""The library behind the chapters of *From vectors to objects*, a course on deep generative models.

Floors, from the ground up; an import only points down, or stays in its room:

0  `device`, `expect`                       where numbers live; what a wrong argument is told
1  `prob`, `layers`, `decode`, `checkpoint` log-probabilities; shared blocks; logits to a choice; checkpoints
1  `beam`                                   the likeliest texts, searched for
2  `data`                                   what the models learn from: `load_*`, one file a data set
2  `fast`                                   what the chapters show simply, done fast
3  `models`                                 one file a family: a config and the model
4  `train`                                  `fit`, and the `Session` below it
4  `measure`                                what a draw is worth
4  `show`                                   arrays in; figures, texts, sounds and sliders out
5  `check`                                  assertions with messages for students
"""
