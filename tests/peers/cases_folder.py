"""cases_folder.py - a case as a folder that `lathe conformance` and ONNX's backend tests read: model.onnx, and test_data_set_0 with a message for each input and output.
For microsoft.py, maps.py and operators_random.py, which make the messages."""
import os


def save(folder, model, inputs, outputs, again=False):
    """again: the folder may be there already."""
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=again)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    for side, messages in (("input", inputs), ("output", outputs)):
        for i, message in enumerate(messages):
            with open(os.path.join(data, "%s_%d.pb" % (side, i)), "wb") as f:
                f.write(message.SerializeToString())
