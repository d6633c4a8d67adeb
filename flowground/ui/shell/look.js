// What is chosen, and how it is kept, is `flowground.look` of flowground/web/head.js.
export default ({ parentElement }) => {
  const buttons = [...parentElement.querySelectorAll("button")];
  const show = () => {
    for (const button of buttons) {
      const isChosen = button.dataset.look === window.flowground.look;
      button.setAttribute("aria-checked", isChosen);
      button.tabIndex = isChosen ? 0 : -1;
    }
  };
  const choose = (button) => {
    window.flowground.look = button.dataset.look;
    show();
    button.focus();
  };
  const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
  buttons.forEach((button, at) => {
    button.onclick = () => choose(button);
    button.onkeydown = (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      choose(buttons[(at + steps[event.key] + buttons.length) % buttons.length]);
    };
  });
  show();
};
