// Without this the page works all the same: the form has a button. With it a photo is sent as soon as it is chosen, dropped or pasted.
document.documentElement.classList.add("js");

document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form");
  const inputs = [...form.querySelectorAll("input[type=file]")];
  const problem = document.querySelector("#problem");
  const preview = form.querySelector(".waiting img");
  const hold = (event) => event.preventDefault();

  function send(input) {
    const photo = input.files[0];
    if (!photo) return;
    if (photo.size > Number(form.dataset.bytes)) {
      problem.textContent = form.dataset.large;
      problem.hidden = false;
      form.reset();
      return;
    }
    problem.hidden = true;
    for (const other of inputs) if (other !== input) other.value = "";
    preview.src = URL.createObjectURL(photo);
    preview.onerror = () => { preview.hidden = true; }; // a kind that this browser does not show
    form.classList.add("working");
    form.querySelector(".waiting").focus();
    form.submit();
  }

  function take(files) {
    const photo = [...files].find((file) => file.type.startsWith("image/")) ?? files[0];
    if (!photo || form.classList.contains("working")) return;
    const list = new DataTransfer();
    list.items.add(photo);
    const input = form.querySelector("#file");
    input.files = list.files;
    send(input);
  }

  for (const input of inputs) input.addEventListener("change", () => send(input));
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  document.addEventListener("dragover", (event) => { hold(event); form.classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
  document.addEventListener("drop", (event) => { hold(event); form.classList.remove("over"); take(event.dataTransfer.files); });
  // Back to this page: the browser may show it as it was left.
  addEventListener("pageshow", () => { form.classList.remove("working"); form.reset(); });
});
